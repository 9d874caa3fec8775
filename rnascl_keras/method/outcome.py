"""What a search leaves behind: the Gumbel parameters and what their rows and columns mean."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import numpy as np
from pydantic import Field, PositiveInt
from scipy.special import softmax

from rnascl_keras.errors import UserError, naming
from rnascl_keras.files.shape import OnlyKeys, Shape
from rnascl_keras.files.whole import read_json, write_json
from rnascl_keras.method.search import CrossLayerSearch
from rnascl_keras.method.spaces import SearchSpace, SpaceRows


class _OutcomeKeys(OnlyKeys):
    space: SpaceRows
    input_shape: Annotated[list[PositiveInt], Field(min_length=3, max_length=3)]
    classes: PositiveInt
    teacher: str
    student_layers: list[str]
    teacher_layers: list[str]
    # `select` refuses what is not finite, and says what to do about it
    tutor_logits: list[list[float]]
    channel_logits: dict[str, list[float]]


OUTCOME = Shape(_OutcomeKeys, "is not the outcome of a search", "search again")


@dataclass(frozen=True)
class SearchOutcome:
    """The Gumbel parameters of a finished search.

    Probabilities are float64: in float32 an option that is 104 behind would be impossible.

    Attributes:
        space, input_shape, classes: of the supernet.
        teacher: fingerprint of the teacher.
        student_layers: names of the n_s tapped student layers.
        teacher_layers: names of the n_t tapped teacher layers.
        tutor_logits: (n_s, n_t).
        channel_logits: name of a block's choice -> (choices,).
    """

    space: SearchSpace
    input_shape: tuple[int, int, int]
    classes: int
    teacher: str
    student_layers: list[str]
    teacher_layers: list[str]
    tutor_logits: np.ndarray
    channel_logits: dict[str, np.ndarray]

    @property
    def tutor_probabilities(self) -> np.ndarray:
        """softmax of the tutors' parameters, (n_s, n_t)."""
        return softmax(np.float64(self.tutor_logits), axis=-1)

    @property
    def channel_probabilities(self) -> list[np.ndarray]:
        """softmax of each block's parameters, in order."""
        return [softmax(np.float64(logits), axis=-1) for logits in self.channel_logits.values()]

    @classmethod
    def of(cls, search: CrossLayerSearch) -> SearchOutcome:
        """Return the outcome of a search as it stands."""
        supernet = search.supernet
        return cls(
            space=supernet.space,
            input_shape=supernet.input_shape[1:],
            classes=supernet.classes,
            teacher=search.teacher_fingerprint,
            student_layers=search.student_layers,
            teacher_layers=search.teacher_layers,
            tutor_logits=np.asarray(search.tutor_choice.logits),
            channel_logits={c.name: np.asarray(c.logits) for c in supernet.choices},
        )

    def save(self, path: Path) -> Path:
        """Write the outcome as JSON."""
        return write_json(
            path,
            {
                "space": self.space.to_dict(),
                "input_shape": list(self.input_shape),
                "classes": self.classes,
                "teacher": self.teacher,
                "student_layers": self.student_layers,
                "teacher_layers": self.teacher_layers,
                "tutor_logits": self.tutor_logits.tolist(),
                "channel_logits": {k: v.tolist() for k, v in self.channel_logits.items()},
            },
        )

    @classmethod
    def load(cls, path: Path) -> SearchOutcome:
        """Read what `save` wrote.

        Raises:
            UserError: the file is missing, truncated, or something else.
        """
        content = read_json(path, OUTCOME)
        with naming(path):
            space = SearchSpace.from_dict(content["space"])
            _check_sizes(content, space)
        return cls(
            space=space,
            input_shape=tuple(content["input_shape"]),
            classes=content["classes"],
            teacher=content["teacher"],
            student_layers=content["student_layers"],
            teacher_layers=content["teacher_layers"],
            tutor_logits=np.asarray(content["tutor_logits"]),
            channel_logits={k: np.asarray(v) for k, v in content["channel_logits"].items()},
        )


def _check_sizes(content: dict[str, Any], space: SearchSpace) -> None:
    """Raise UserError where there is not a parameter for each layer and each choice."""
    choices = [len(stage.widths) for stage in space.stages for _ in range(stage.depth)]
    wanted = {
        "tutor_logits": [len(content["teacher_layers"])] * len(content["student_layers"]),
        "channel_logits": choices,
    }
    rows = {
        "tutor_logits": content["tutor_logits"],
        "channel_logits": [*content["channel_logits"].values()],
    }
    for key, sizes in wanted.items():
        if (found := [*map(len, rows[key])]) != sizes:
            raise UserError(
                f"{key} has {found} numbers a row, but its layers and space make {sizes}; search "
                "again."
            )
