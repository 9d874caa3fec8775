"""What the JSON files of comparisons hold, as far as they are read again."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from rnascl_keras.files.shape import NEEDED, NOT_YET, Keys, Shape
from rnascl_keras.run.origin import Noted


class _Strong(Keys):
    n: int
    accuracy: float
    interval: list[float]


class _StrongAt(_Strong):
    epsilon: float


class _Pgd(Keys):
    epsilon: list[float]
    accuracy: list[float]
    intervals: list[list[float]]


class _Right(Keys):
    clean: str
    pgd20: list[str]
    auto_attack: str = ""


class _Row(Noted):
    method: str
    name: str
    adversarial: bool
    seed: int
    parameters: int
    macs: int
    n: int
    accuracy: float
    pgd20: _Pgd
    right: _Right
    auto_attack: _StrongAt = NOT_YET


class _RightOfAll(_Right):
    auto_attack: str = NEEDED


class _StrongRow(_Row):
    right: _RightOfAll
    auto_attack: _StrongAt = NEEDED


AGAIN = "delete it and give the command again"
ROW = Shape(_Row, "is not a row of a comparison", AGAIN)
STRONG_ROW = Shape(_StrongRow, "is not a row with AutoAttack of a comparison", AGAIN)


class _Share(Keys):
    clean: float
    pgd20: float


class _Intervals(Keys):
    clean: list[float]
    pgd20: list[float]


class _Side(Keys):
    bytes: int
    latency_ms: float


class _Measured(Keys):
    """Of a row, what `rnascl rivals` shows."""

    network: str
    epochs: int
    n: int
    epsilon: float
    parameters: int
    macs: int
    accuracy: _Share


class _Figures(Keys):
    """What a model, dense or pruned, gives to a row."""

    n: int
    epsilon: float
    parameters: int
    macs: int
    accuracy: _Share
    intervals: _Intervals
    kept: int
    weights: int
    onnx: _Side
    int8: _Side


class _Network(_Figures, _Measured):
    sha256: str
    measured_by: str = NOT_YET
    auto_attack: _Strong = NOT_YET
    auto_attack_n: int = 0


class _StrongNetwork(_Network):
    auto_attack: _Strong = NEEDED


class _Networks(Keys):
    rows: Annotated[list[_Measured], Field(min_length=1)]


NETWORK = Shape(_Network, "is not a network's row", AGAIN)
STRONG_NETWORK = Shape(_StrongNetwork, "is not a network's row with AutoAttack", AGAIN)
FIGURES = Shape(_Figures, "does not hold what a comparison shows", AGAIN)
NETWORKS = Shape(
    _Networks,
    "holds no rows of `rnascl compare-networks`",
    "give a networks.json of this version, or make it again",
)
