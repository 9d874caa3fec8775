"""Keras Tuner's tuner whose trials are runs of a recipe's stages."""

from __future__ import annotations

import gc
import time
from typing import TYPE_CHECKING, Any

import keras
import numpy as np
from keras_tuner.engine.base_tuner import BaseTuner
from keras_tuner.engine.trial import Trial
from keras_tuner.errors import FatalError

from rnascl_keras.errors import Diverged, UserError
from rnascl_keras.evaluation.evaluate import evaluate
from rnascl_keras.evaluation.intervals import wilson_interval
from rnascl_keras.files.hashes import content_hash, digest
from rnascl_keras.files.shape import Keys, Shape
from rnascl_keras.files.whole import read_json, write_json
from rnascl_keras.models.finite import is_finite
from rnascl_keras.recipe import Recipe
from rnascl_keras.run.pipeline import run_stages
from rnascl_keras.run.stamps import durations
from rnascl_keras.run.workdir import Run
from rnascl_keras.tuning.hyper_model import RecipeHyperModel
from rnascl_keras.tuning.oracles import OBJECTIVE
from rnascl_keras.tuning.ranking import score
from rnascl_keras.tuning.table import in_words
from rnascl_keras.tuning.trial_runs import SharingRun, shortened, trial_run
from rnascl_keras.units import duration, percent

if TYPE_CHECKING:
    from rnascl_keras.data import ImageData

EPOCHS = "tuner/epochs"
"""Where Hyperband's oracle says for how many epochs a trial is trained."""

FIGURES = "trial.json"
DIVERGED = ""
"""The signature of a trial without a student."""


class _Epochs(Keys):
    search: int
    train: int


class _Intervals(Keys):
    clean: list[float]
    pgd20: list[float]


class _Trial(Keys):
    signature: str
    clean: float
    pgd20: float
    intervals: _Intervals
    parameters: int
    macs: int
    widths: list[list[int]]
    epochs: _Epochs
    seconds: float


TRIAL = Shape(_Trial, "does not hold the figures of a trial", "delete it and tune again")


class TrialEnded(FatalError):
    """A trial was ended by its cause, which is not the settings' doing and ends the tuning too.

    Args:
        cause: what was raised.
    """

    def __init__(self, cause: Exception) -> None:
        super().__init__(str(cause))
        self.cause = cause


class RecipeTuner(BaseTuner):
    """Runs cache, search, derive and train for each trial, and attacks the student by PGD-20.

    The images are the recipe's validation images, at most `evaluation.n`, the radius is its
    `evaluation.epsilon`. Under Hyperband a trial has as large a share of the search's epochs as of
    the training's, and begins anew where it is given more: schedules and temperature are made for
    a number of epochs, so a shorter training is no part of a longer one.

    Args:
        run: whose recipe is tuned, with its teacher there.
        hypermodel: of that recipe.
        least_clean: clean accuracy, from 0 to 1, below which a student counts behind all others.
        others: of `keras_tuner.engine.base_tuner.BaseTuner`.
    """

    hypermodel: RecipeHyperModel

    def __init__(
        self, run: Run, hypermodel: RecipeHyperModel, least_clean: float, **others: Any
    ) -> None:
        self.run = run
        self.least_clean = least_clean
        self.seconds: list[float] = []
        super().__init__(hypermodel=hypermodel, **others)

    def reload(self) -> None:
        """Read the oracle's state; the tuner has none of its own."""
        self.oracle.reload()

    def run_trial(self, trial: Trial) -> dict[str, float]:
        """Train and measure a student; where that was cut short, go on with it."""
        begin = time.monotonic()
        self._announce(trial)
        try:
            made = self.made(trial)
        except Exception as error:  # Keras Tuner would go on with the next trial
            raise TrialEnded(error) from error
        self.seconds.append(time.monotonic() - begin)
        keras.utils.clear_session()
        gc.collect()
        clean, robust = made["clean"], made["pgd20"]
        self.run.say(
            f"tune: trial {trial.trial_id}: clean {percent(clean)}, PGD-20 {percent(robust)} %"
        )
        return {OBJECTIVE: score(clean, robust, self.least_clean)}

    def recipe_of(self, trial: Trial) -> Recipe:
        """Return the recipe that a trial runs."""
        base = self.run.recipe
        recipe = self.hypermodel.build(trial.hyperparameters)
        epochs = trial.hyperparameters.values.get(EPOCHS, base.train.epochs)
        return shortened(recipe, base.views, epochs / base.train.epochs)

    def made(self, trial: Trial) -> dict[str, Any]:
        """Return the figures of a trial's student, as in its `FIGURES`; what is missing is made.

        One whose search or training diverges has none right: other settings may do better.

        Raises:
            UserError: as `run_stages`.
        """
        work = trial_run(self.run, self.recipe_of(trial))
        steps = [(work.taken["search"], ("search", "derive")), (work, ("train",))]
        if work.recipe.views and work.taken["cache"] is not self.run:
            steps.insert(0, (work.taken["cache"], ("cache",)))
        try:
            for step, names in steps:
                run_stages(step, names)
        except Diverged as error:
            self.run.say(f"tune: {error} It counts as 0 %.")
            return _diverged(work)
        return _measured(work)

    def figures_of(self, trial: Trial) -> dict[str, Any]:
        """Return what `made` has returned for a trial that is over.

        It is measured anew where another radius, or another number of images, was asked for since.
        """
        work = trial_run(self.run, self.recipe_of(trial))
        path = work.path(FIGURES)
        if path.exists() and read_json(path, TRIAL)["signature"] == DIVERGED:
            return _diverged(work)
        is_there = path.exists() and work.path("student.keras").exists()
        return _measured(work) if is_there else self.made(trial)

    def settings_of(self, trial: Trial) -> dict[str, Any]:
        """Return the values of what is tuned, without what the oracle notes beside them."""
        values = trial.hyperparameters.values
        return {name: values[name] for name in self.hypermodel.names if name in values}

    def _announce(self, trial: Trial) -> None:
        told = in_words(self.settings_of(trial), self.hypermodel.own)
        most: Any = self.oracle.max_trials  # every oracle of ours has a number of them
        left = most - len(self.oracle.end_order)
        expected = np.mean(self.seconds) * left if self.seconds else None
        wait = f"; about {duration(expected)} for the {left} left" if expected else ""
        self.run.say(f"tune: trial {trial.trial_id} (of at most {most}): {told}{wait}")


def held_out_images(run: Run) -> ImageData:
    """Return the validation images, on which trials are measured.

    Raises:
        UserError: the recipe holds none back.
    """
    images = run.data.validation
    if images is None:
        raise UserError(f"recipe {run.recipe.name} holds no validation images back.")
    return images


def _measured(work: SharingRun) -> dict[str, Any]:
    """Return a trial's figures, measured where they are not there yet."""
    path = work.path(FIGURES)
    evaluation, seed = work.recipe.evaluation, work.recipe.seed
    held_out = held_out_images(work)
    n = min(evaluation.n, len(held_out))
    student = work.path("student.keras")
    signature = digest([n, evaluation.epsilon, seed, content_hash(student)])
    if path.exists() and (found := read_json(path, TRIAL))["signature"] == signature:
        return found
    architecture, model = work.architecture, work.student("student")
    images, labels = held_out.first(n)
    figures = {
        "signature": signature,
        **_attacked(model, images, labels, evaluation.epsilon, seed),
        "parameters": architecture.parameters,
        "macs": architecture.macs,
        "widths": [list(widths) for widths in architecture.widths],
        **_effort(work),
    }
    write_json(path, figures)
    return figures


def _diverged(work: SharingRun) -> dict[str, Any]:
    """Return the figures of a trial without a student."""
    n = min(work.recipe.evaluation.n, len(held_out_images(work)))
    figures = {
        "signature": DIVERGED,
        **_nothing_right(n),
        "parameters": 0,
        "macs": 0,
        "widths": [],
        **_effort(work),
    }
    write_json(work.path(FIGURES), figures)
    return figures


def _effort(work: SharingRun) -> dict[str, Any]:
    """Return the epochs of a trial, and the seconds that its finished stages took."""
    seconds = durations(work.taken["search"]) | durations(work)
    epochs = {"search": work.recipe.search.epochs, "train": work.recipe.train.epochs}
    return {"epochs": epochs, "seconds": sum(seconds.values())}


def _nothing_right(n: int) -> dict[str, Any]:
    """Return the accuracies of a model that is right on none of `n` images."""
    keys = ("clean", "pgd20")
    none = wilson_interval(np.zeros(n, bool))
    return dict.fromkeys(keys, 0.0) | {"intervals": dict.fromkeys(keys, none)}


def _attacked(
    model: keras.Model, images: np.ndarray, labels: np.ndarray, epsilon: float, seed: int
) -> dict[str, Any]:
    """Return clean accuracy and that under PGD-20; a student that has diverged has none."""
    keys = ("clean", "pgd20")
    if not is_finite(model.get_weights()):
        return _nothing_right(len(labels))
    found, _ = evaluate(
        model, images, labels, attacks=("pgd",), epsilon=epsilon, seed=seed, check=0
    )
    return {key: found.accuracy[key] for key in keys} | {
        "intervals": {key: found.intervals[key] for key in keys}
    }
