"""What the JSON files of a run's figures hold, as far as later stages and commands read them."""

from __future__ import annotations

from typing import Annotated

from pydantic import ConfigDict, Field

from rnascl_keras.files.shape import NOT_YET, Keys, Shape
from rnascl_keras.method.architecture import ArchitectureKeys

Interval = Annotated[list[float], Field(min_length=2, max_length=2)]
AGAIN = "delete it and run the stage again"


class Speed(Keys):
    """Of a file, in milliseconds; on all threads too, where there are several."""

    one_thread: float
    all_threads: float = NOT_YET


class _Parity(Keys):
    sha256: str
    bytes: int
    max_abs_difference: float
    agreement: float
    operators: dict[str, int] = NOT_YET
    activation_bytes: int = 0


class _Timed(Keys):
    bytes: int
    latency_ms: dict[str, float]


class _Latencies(Keys):
    teacher: _Timed | None
    files: dict[str, dict[str, float]]


class _Finding(Keys):
    name: str
    share: float
    passed: bool
    words: str


class _Check(Keys):
    n: int
    passed: bool
    verdict: str
    findings: list[_Finding]


class _SweptShares(Keys):
    pgd20: list[float]


class _SweptIntervals(Keys):
    pgd20: list[Interval]


class _Sweep(Keys):
    n: int
    epsilon: list[float]
    clean: float
    accuracy: _SweptShares
    intervals: _SweptIntervals
    clean_interval: Interval = NOT_YET


class _Corrupted(Keys):
    published: str
    scale: float
    accuracy: dict[str, list[float]]
    intervals: dict[str, list[Interval]]
    mean: float
    mean_interval: Interval
    error: float
    notes: list[str]


class _Shares(Keys):
    """By attack; each model and file has been shown the clean images."""

    model_config = ConfigDict(extra="allow")
    __pydantic_extra__: dict[str, float] = Field(init=False)

    clean: float


class _ByClass(Keys):
    """By attack; None for a class without images."""

    model_config = ConfigDict(extra="allow")
    __pydantic_extra__: dict[str, list[float | None]] = Field(init=False)

    clean: list[float | None]
    worst: list[float | None]


class _Attacked(Keys):
    """Of a model, or of a file that was attacked itself."""

    accuracy: _Shares
    near_chance: str | None = None
    check: _Check | None = None
    per_class: _ByClass = NOT_YET
    class_counts: list[int] = NOT_YET
    confusion: dict[str, list[list[int]]] = NOT_YET


class _File(_Parity, _Attacked):
    intervals: dict[str, Interval] = NOT_YET
    latency_ms: dict[str, float] = NOT_YET


class _Engine(Keys):
    name: str
    logits: float | None
    gradients: float | None


class _Model(_Attacked):
    intervals: dict[str, Interval]
    engine: _Engine = NOT_YET
    parameters: int
    macs: int
    bytes: int = 0
    sweep: _Sweep = NOT_YET
    corrupted: _Corrupted = NOT_YET


class _Evaluation(Keys):
    epsilon: float
    n: int
    export: dict[str, _File]
    teacher: _Model
    student: _Model = NOT_YET
    student_trades: _Model = NOT_YET


class _Tuning(Keys):
    robust: str | None = NOT_YET


class _Settings(Keys):
    finetune: _Tuning | None = None


class _Report(_Evaluation):
    recipe: str
    seed: int
    settings: _Settings = NOT_YET
    teacher_onnx: _Timed | None = None
    architecture: ArchitectureKeys = NOT_YET
    files: dict[str, str] = NOT_YET


PARITY = Shape(dict[str, _Parity], "is not what an export leaves", AGAIN)
LATENCIES = Shape(_Latencies, "is not what an export leaves", AGAIN)
EVALUATION = Shape(_Evaluation, "does not hold a run's figures", AGAIN)
REPORT = Shape(_Report, "is not a run's report", AGAIN)
