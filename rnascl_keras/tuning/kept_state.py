"""What the JSON files hold in which Keras Tuner's oracles keep where they are.

Keras Tuner takes what stands there as it is: a number that is none would be met trials later.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

from pydantic import TypeAdapter

from rnascl_keras.files.shape import NOT_YET, Keys, problem
from rnascl_keras.files.whole import read_json

Value = str | int | float | bool | None


class _Observation(Keys):
    value: list[float]
    step: int


class _Metric(Keys):
    direction: Literal["min", "max"]
    observations: list[_Observation]


class _Metrics(Keys):
    metrics: dict[str, _Metric]


class _Config(Keys):
    name: str
    default: Value
    conditions: list[dict[str, Any]]
    values: list[Value] = NOT_YET
    ordered: bool = NOT_YET


class _Setting(Keys):
    class_name: str
    config: _Config


class _Settings(Keys):
    space: list[_Setting]
    values: dict[str, Value]


class _Trial(Keys):
    trial_id: str
    hyperparameters: _Settings
    metrics: _Metrics
    score: float | None
    best_step: int | None
    status: Literal["RUNNING", "IDLE", "INVALID", "STOPPED", "COMPLETED", "FAILED"]
    message: str | None


class _Display(Keys):
    search_start: str | None
    trial_start: dict[str, str]
    trial_number: dict[str, int]


class _Place(Keys):
    past_id: str | None
    id: str


class _Bracket(Keys):
    bracket_num: int
    rounds: list[list[_Place]]


class _Oracle(Keys):
    ongoing_trials: dict[str, str]
    hyperparameters: _Settings
    start_order: list[str]
    end_order: list[str]
    run_times: dict[str, int]
    retry_queue: list[str]
    seed: int
    seed_state: int
    tried_so_far: list[str]
    id_to_hash: dict[str, str | None]
    display: _Display


class _Hyperband(_Oracle):
    hyperband_iterations: float
    max_epochs: int
    min_epochs: int
    factor: int
    brackets: list[_Bracket]
    current_bracket: int
    current_iteration: int


ORACLE = TypeAdapter(_Oracle)
HYPERBAND = TypeAdapter(_Hyperband)
TRIAL = TypeAdapter(_Trial)


class OtherContent(Exception):
    """A file holds something else; which key it is, is its text."""


def check_kept(path: Path, keys: TypeAdapter) -> None:
    """Read a file of an oracle.

    Args:
        path: of the file.
        keys: `ORACLE`, `HYPERBAND` or `TRIAL`.

    Raises:
        UserError: it cannot be read, or is no JSON.
        OtherContent: it holds something else.
    """
    if wrong := problem(keys, read_json(path)):
        raise OtherContent(wrong)
