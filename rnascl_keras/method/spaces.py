"""The search spaces of Tables 3 and 4 as rows, and what a row means."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from pydantic import FiniteFloat, PositiveInt

from rnascl_keras.errors import UserError, check_name, look_up
from rnascl_keras.files.shape import OnlyKeys

EXPANSION = 6
"""Hidden channels of a block for each input channel (inverted residual)."""
ACTIVATIONS = ("relu", "silu", "hard_swish")
"""What may follow batch normalisation; the paper's blocks have ReLU."""


@dataclass(frozen=True)
class Stage:
    """Blocks that share their width choices.

    Args:
        depth: number of blocks.
        widths: the choices of output channels, each block choosing for itself.
        stride: stride of the first block; the others have 1.
    """

    depth: int
    widths: tuple[int, ...]
    stride: int = 2

    def __post_init__(self) -> None:
        object.__setattr__(self, "widths", tuple(self.widths))
        positive = all(isinstance(w, int) and w > 0 for w in self.widths)
        if not self.widths or not positive or len(set(self.widths)) != len(self.widths):
            raise UserError(f"widths must be different positive integers; got {self.widths}.")
        if self.depth < 1 or self.stride not in (1, 2):
            raise UserError(
                f"a stage needs a depth of at least 1 and a stride of 1 or 2; "
                f"got depth={self.depth}, stride={self.stride}."
            )


class StageRow(OnlyKeys):
    """A stage as JSON has it."""

    depth: int
    widths: list[int]
    stride: int


class SpaceRows(OnlyKeys):
    """A space as JSON has it, see `SearchSpace.to_dict`."""

    name: str
    stages: list[StageRow]
    stem_width: PositiveInt
    stem_stride: PositiveInt
    head_width: PositiveInt | None
    activation: str = "relu"
    squeeze_excite: FiniteFloat | None = None


@dataclass(frozen=True)
class SearchSpace:
    """What is searched: a stem, stages of inverted residuals, and perhaps a head convolution.

    Args:
        name: how reports call it.
        stages: rows of Table 3 or 4.
        stem_width: channels of the 3x3 stem convolution.
        stem_stride: its stride.
        head_width: channels of the 1x1 convolution before pooling, or None for none.
        activation: one of `ACTIVATIONS`; smooth ones are known to withstand attacks better (Xie et
            al., 2020).
        squeeze_excite: None, as in the paper; or what each block's squeeze-and-excitation (Hu et
            al., 2018) keeps of the block's input width between its two dense layers, e.g. 0.25 as
            in EfficientNet.
    """

    name: str
    stages: tuple[Stage, ...]
    stem_width: int = 16
    stem_stride: int = 1
    head_width: int | None = None
    activation: str = "relu"
    squeeze_excite: float | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "stages", tuple(self.stages))
        if not self.stages:
            raise UserError(f"search space {self.name!r} has no stages; give at least one.")
        check_name("activation", self.activation, ACTIVATIONS)
        if self.squeeze_excite is not None and not 0 < self.squeeze_excite <= EXPANSION:
            raise UserError(
                f"squeeze_excite must be above 0 and at most {EXPANSION}, a part of the block's "
                f"input width, or None; got {self.squeeze_excite}."
            )

    def squeezed(self, width: int) -> int:
        """Return the channels between the two dense layers of a squeeze-and-excitation in a block
        of input width `width`; 0: there is none."""
        return 0 if self.squeeze_excite is None else max(1, round(self.squeeze_excite * width))

    @property
    def depths(self) -> tuple[int, ...]:
        """Blocks in each stage."""
        return tuple(stage.depth for stage in self.stages)

    def widths_everywhere(self, pick: Any) -> list[list[int]]:
        """Return the architecture in which each block takes `pick(choices)`, e.g. `max`."""
        return [[pick(stage.widths)] * stage.depth for stage in self.stages]

    def with_one_choice(self, pick: Any, name: str) -> SearchSpace:
        """Return the space of one architecture: each block takes `pick(choices)`, e.g. `max`."""
        stages = (replace(stage, widths=(pick(stage.widths),)) for stage in self.stages)
        return replace(self, name=name, stages=tuple(stages))

    def to_dict(self) -> dict[str, Any]:
        """Return the rows as plain values, for JSON; without what is as in the paper."""
        ours = {"activation": self.activation, "squeeze_excite": self.squeeze_excite}
        return {
            "name": self.name,
            "stages": [
                {"depth": s.depth, "widths": list(s.widths), "stride": s.stride}
                for s in self.stages
            ],
            "stem_width": self.stem_width,
            "stem_stride": self.stem_stride,
            "head_width": self.head_width,
            **{key: value for key, value in ours.items() if value not in ("relu", None)},
        }

    @classmethod
    def from_dict(cls, rows: dict[str, Any]) -> SearchSpace:
        """Return the space that `to_dict` described."""
        stages = tuple(Stage(**stage) for stage in rows["stages"])
        return cls(**{**rows, "stages": stages})


def _cifar(name: str, depths: tuple[int, ...], *widths: tuple[int, ...]) -> SearchSpace:
    return SearchSpace(name, tuple(map(Stage, depths, widths)))


def _imagenet(name: str, depths: tuple[int, ...]) -> SearchSpace:
    rows = zip(depths, IMAGENET_WIDTHS, IMAGENET_STRIDES, strict=False)
    return SearchSpace(name, tuple(Stage(*row) for row in rows), stem_stride=2, head_width=1984)


SMALL_WIDTHS = ((16, 12), (32, 28, 24, 20), (64, 60, 56, 52))
IMAGENET_STRIDES = (2, 2, 2, 1, 2)
IMAGENET_WIDTHS = (
    (28, 24, 20, 16),
    (40, 36, 32, 28),
    (96, 88, 80, 72, 64, 56, 48),
    (128, 120, 108, 100, 92, 84, 76, 68),
    (216, 208, 200, 192, 184, 176, 168, 160, 152, 144, 136, 128, 120, 108),
)

SPACES: dict[str, SearchSpace] = {
    space.name: space
    for space in (
        # Table 3, CIFAR-10
        _cifar("S3", (3, 3, 3), *SMALL_WIDTHS),
        _cifar("S5", (5, 5, 5), *SMALL_WIDTHS),
        _cifar("S7", (7, 7, 7), *SMALL_WIDTHS),
        _cifar("M", (9, 7, 1), (80, 76), (160, 156, 152, 148), (128, 124, 120, 116)),
        _cifar("L", (9, 7, 1), (160, 156), (320, 316, 312, 308), (256, 252, 248, 244)),
        # Table 4, ImageNet-100
        _imagenet("IS", (3, 3, 3)),
        _imagenet("IM", (3, 3, 3, 4)),
        _imagenet("I", (3, 3, 3, 4, 4)),
        # Ours: scikit-learn's 8 x 8 digits
        SearchSpace("digits", (Stage(2, (16, 12, 8), stride=1), Stage(2, (32, 24, 16)))),
    )
}


SPACES |= {
    # Ours: one architecture each, that of the students that come with the package
    f"{name}_widest": SPACES[name].with_one_choice(max, f"{name}_widest")
    for name in ("S3", "S7")
}


def get_space(space: str | SearchSpace) -> SearchSpace:
    """Return the space of that name, or the space itself.

    Raises:
        UserError: no space has that name.
    """
    if isinstance(space, SearchSpace):
        return space
    return look_up("search space", space, SPACES)
