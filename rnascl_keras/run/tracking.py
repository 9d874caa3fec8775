"""Trainings written down epoch by epoch where a team looks: MLflow, Weights & Biases."""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from rnascl_keras.assignments import flat_settings
from rnascl_keras.errors import UserError, check_name, one_line
from rnascl_keras.files.hashes import digest
from rnascl_keras.run.workdir import Run

if TYPE_CHECKING:
    import keras

    from rnascl_keras.section import Settings

TRACKERS = ("mlflow", "wandb")
PROJECT = "rnascl-keras"
"""Where MLFLOW_EXPERIMENT_NAME or WANDB_PROJECT do not name another."""
KEY = "rnascl.key"
"""Tag of an MLflow run by which a training that goes on finds it."""


@dataclass(frozen=True)
class TrackedTraining:
    """The training of a stage.

    Attributes:
        stage: its name.
        section: of the recipe, whose settings it has.
        settings: these.
        signature: of all from which the stage is made.
        goes_on: whether it was cut short, so that it has been told of before.
    """

    stage: str
    section: str
    settings: Settings
    signature: str
    goes_on: bool


@dataclass(frozen=True)
class _Told:
    """What a tracker is told at the start: a name for people, a key of letters and digits that
    only this training has, also where it goes on, its settings, and who hears of trouble."""

    name: str
    key: str
    settings: dict[str, Any]
    goes_on: bool
    say: Callable[[str], None]


def check_trackers(names: Sequence[str]) -> tuple[str, ...]:
    """Return the names of `--log`, each once.

    Raises:
        UserError: one is unknown, or not installed.
    """
    for name in names:
        check_name("--log", name, TRACKERS)
        if importlib.util.find_spec(name) is None:
            raise UserError(
                f"--log {name} needs {name}, which is not installed; type: pip install "
                f"'rnascl-keras[{name}]'."
            )
    return tuple(dict.fromkeys(names))


@contextmanager
def tracked(
    names: Sequence[str], run: Run, training: TrackedTraining
) -> Iterator[list[keras.callbacks.Callback]]:
    """Give callbacks that write a training down; it has failed where the block ends in an error.

    Args:
        names: of trackers.
        run: that it is part of.
        training: what is trained.

    Raises:
        UserError: a tracker cannot begin: no server, no login.
    """
    told = _told(run, training)
    with ExitStack() as open_until_the_end:
        callbacks = []
        for name in names:
            try:
                callbacks.append(open_until_the_end.enter_context(_BEGIN[name](told)))
            except Exception as error:
                raise UserError(
                    f"--log {name} cannot begin: {one_line(error)}; leave it out, or see that its "
                    "server answers."
                ) from error
        yield callbacks


def _told(run: Run, training: TrackedTraining) -> _Told:
    section = training.settings.model_dump(mode="json")
    general = {"seed": run.recipe.seed, "data.source": run.recipe.data.source}
    return _Told(
        name=f"{run.recipe.name}/{training.stage}",
        key=digest([str(run.workdir.resolve()), training.stage, training.signature]),
        settings=general | dict(flat_settings(section, f"{training.section}.")),
        goes_on=training.goes_on,
        say=lambda line: run.say(f"{training.stage}: {line}"),
    )


@contextmanager
def _with_mlflow(told: _Told) -> Iterator[keras.callbacks.Callback]:
    import keras
    import mlflow  # pyright: ignore[reportMissingImports]
    import numpy as np

    mlflow.set_experiment(os.environ.get("MLFLOW_EXPERIMENT_NAME", PROJECT))
    before = _mlflow_run(told.key) if told.goes_on else None
    with mlflow.start_run(before, run_name=told.name, tags={KEY: told.key}):
        if before is None:
            mlflow.log_params(told.settings)
        gone = False

        def write(epoch: int, logs: dict[str, Any] | None) -> None:
            nonlocal gone
            if gone:
                return
            try:
                # of several workers, a metric is an array
                mlflow.log_metrics({k: float(np.mean(v)) for k, v in (logs or {}).items()}, epoch)
            except Exception as error:  # a server that is gone must not end a training
                gone = True
                told.say(f"MLflow is told no more of it: {one_line(error)}")

        yield keras.callbacks.LambdaCallback(on_epoch_end=write)


def _mlflow_run(key: str) -> str | None:
    """Return the id of the last run of that key."""
    import mlflow  # pyright: ignore[reportMissingImports]

    asked = {"filter_string": f"tags.`{KEY}` = '{key}'", "max_results": 1}
    found = mlflow.search_runs(**asked, output_format="list")
    return found[0].info.run_id if found else None


@contextmanager
def _with_wandb(told: _Told) -> Iterator[keras.callbacks.Callback]:
    import wandb  # pyright: ignore[reportMissingImports]
    from wandb.integration.keras import WandbMetricsLogger  # pyright: ignore[reportMissingImports]

    with wandb.init(
        project=os.environ.get("WANDB_PROJECT", PROJECT),
        name=told.name,
        id=told.key,
        config=told.settings,
        resume="allow" if told.goes_on else None,
    ):
        yield WandbMetricsLogger()


_BEGIN = {"mlflow": _with_mlflow, "wandb": _with_wandb}
