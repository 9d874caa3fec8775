"""What a search has found: an Architecture, and the student it describes."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import keras
from pydantic import Field, PositiveInt

from rnascl_keras.errors import UserError, naming
from rnascl_keras.files.shape import OnlyKeys, Shape
from rnascl_keras.files.whole import read_json, write_json
from rnascl_keras.method import blocks, cost
from rnascl_keras.method.spaces import SearchSpace, SpaceRows
from rnascl_keras.models.image_input import check_classes, checked_input_shape, image_input
from rnascl_keras.models.size import model_parameters

Tensor = Any


@dataclass(frozen=True)
class Tutor:
    """A student layer and the teacher layer whose attention map it copies, by layer name."""

    student_layer: str
    teacher_layer: str


class _TutorKeys(OnlyKeys):
    student_layer: str
    teacher_layer: str


class ArchitectureKeys(OnlyKeys):
    """What `architecture.json` holds."""

    space: str
    widths: list[list[int]]
    tutors: list[_TutorKeys]
    teacher: str
    parameters: int
    macs: int
    input_shape: Annotated[list[PositiveInt], Field(min_length=3, max_length=3)]
    classes: PositiveInt
    geometry: SpaceRows


ARCHITECTURE = Shape(ArchitectureKeys, "does not describe an architecture", "derive it again")


@dataclass(frozen=True)
class Architecture:
    """A student of a search space, with its tutors.

    Args:
        space: the search space.
        widths: output channels of every block, a list for each stage.
        tutors: one for each tapped student layer.
        teacher: fingerprint of the teacher searched under.
        input_shape: (height, width, channels) of the images.
        classes: number of classes.
    """

    space: SearchSpace
    widths: tuple[tuple[int, ...], ...]
    tutors: tuple[Tutor, ...] = ()
    teacher: str = ""
    input_shape: tuple[int, int, int] = (32, 32, 3)
    classes: int = 10

    def __post_init__(self) -> None:
        object.__setattr__(self, "tutors", tuple(self.tutors))
        object.__setattr__(self, "input_shape", checked_input_shape(self.input_shape))
        object.__setattr__(self, "widths", tuple(tuple(row) for row in self.widths))
        check_classes(self.classes)
        if tuple(map(len, self.widths)) != self.space.depths:
            raise UserError(
                f"widths must give one number per block of space {self.space.name!r}, "
                f"{self.space.depths} per stage; got {self.widths}."
            )
        for stage, row in zip(self.space.stages, self.widths, strict=True):
            if not set(row) <= set(stage.widths):
                raise UserError(f"widths {row} are not among the choices {stage.widths}.")

    @property
    def macs(self) -> int:
        """Multiply-adds of one image."""
        return cost.count_macs(self.space, self.widths, self.input_shape, self.classes)

    @property
    def parameters(self) -> int:
        """Trainable parameters."""
        return cost.count_parameters(self.space, self.widths, self.input_shape[2], self.classes)

    def build(self, name: str = "student") -> keras.Model:
        """Return the student, freshly initialised, made of stock Keras layers only.

        Input: images (height, width, channels), pixels in [0, 1]. Output: logits.
        """
        images = image_input(self.input_shape)
        logits = blocks.classifier(
            images,
            self._blocks,
            space=self.space,
            classes=self.classes,
        )
        return keras.Model(images, logits, name=name)

    def _blocks(self, x: Tensor) -> Tensor:
        names = blocks.block_names(self.space.depths)
        for stage, widths, row in zip(self.space.stages, self.widths, names, strict=True):
            for position, (width, name) in enumerate(zip(widths, row, strict=True)):
                x = blocks.inverted_residual(
                    x,
                    name,
                    width,
                    stride=stage.stride if position == 0 else 1,
                    residual=position > 0,
                    activation=self.space.activation,
                    squeezed=self.space.squeezed(x.shape[-1]),
                )
        return x

    def save(self, path: str | Path) -> Path:
        """Write `architecture.json`."""
        content = {
            "space": self.space.name,
            "widths": [list(row) for row in self.widths],
            "tutors": [
                {"student_layer": t.student_layer, "teacher_layer": t.teacher_layer}
                for t in self.tutors
            ],
            "teacher": self.teacher,
            "parameters": self.parameters,
            "macs": self.macs,
            "input_shape": list(self.input_shape),
            "classes": self.classes,
            "geometry": self.space.to_dict(),
        }
        return write_json(Path(path), content)

    @classmethod
    def load(cls, path: str | Path) -> Architecture:
        """Read `architecture.json`.

        Raises:
            UserError: the file is missing, truncated, or does not describe an architecture.
        """
        content = read_json(Path(path), ARCHITECTURE)
        with naming(Path(path)):
            return cls(
                space=SearchSpace.from_dict(content["geometry"]),
                widths=content["widths"],
                tutors=tuple(Tutor(**tutor) for tutor in content["tutors"]),
                teacher=content["teacher"],
                input_shape=content["input_shape"],
                classes=content["classes"],
            )


def check_same_weights(model: keras.Model, architecture: Architecture, path: Path) -> None:
    """Raise UserError unless the model read from `path` has the architecture's shapes."""
    wanted = [tuple(v.shape) for v in architecture.build().variables]
    found = [tuple(v.shape) for v in model.variables]
    if wanted != found:
        raise UserError(
            f"{path} is of another architecture: it has {model_parameters(model)} trainable "
            f"parameters, architecture.json describes {architecture.parameters}."
        )
