"""`rnascl tune`: trials of a recipe's settings, as a table, a picture, JSON and a recipe file."""

from __future__ import annotations

import contextlib
import io
import math
import textwrap
import time
from collections.abc import Sequence
from typing import Any

from keras_tuner import Oracle
from keras_tuner.engine.trial import Trial

from rnascl_keras.console import PlainConsole
from rnascl_keras.errors import UserError, check_name
from rnascl_keras.files.hashes import digest
from rnascl_keras.files.lock import locked
from rnascl_keras.files.whole import atomic_write, write_json
from rnascl_keras.hardware import hardware
from rnascl_keras.method.taps import tap
from rnascl_keras.recipe_file import recipe_file
from rnascl_keras.run.pipeline import run_stages
from rnascl_keras.run.workdir import Run
from rnascl_keras.section import SEEDS
from rnascl_keras.tuning.hyper_model import RecipeHyperModel
from rnascl_keras.tuning.hyperparameters import find_names
from rnascl_keras.tuning.oracles import METHODS, make_oracle
from rnascl_keras.tuning.plot import in_a_sentence, tuning_picture
from rnascl_keras.tuning.ranking import ranked
from rnascl_keras.tuning.table import in_words, tuning_table, what_counts
from rnascl_keras.tuning.tuner import RecipeTuner, TrialEnded, held_out_images
from rnascl_keras.units import duration, percent


def tune_run(
    run: Run,
    *,
    method: str = "bayesian",
    trials: int = 20,
    hours: float | None = None,
    names: Sequence[str] = (),
    least_clean: float = 0.5,
    seed: int = 0,
) -> dict[str, Any]:
    """Try settings; write `tune.json`, `tune.png` and `<recipe>_tuned.py` into the work folder.

    A trial that is there is not made again, whatever the options; one that was cut short goes on.

    Args:
        run: of the recipe, which needs validation images.
        method: of `oracles.METHODS`.
        trials: at most so many, the recipe as it is among them.
        hours: no trial begins later than that after the start of this call.
        names: of `hyperparameters.HYPERPARAMETERS`; by default all.
        least_clean: clean accuracy from 0 to 1 below which a student counts behind all others.
        seed: of the choice of settings; that of the trainings is the recipe's.

    Returns:
        What is in `tune.json`, the best trial first.

    Raises:
        UserError: an option is none, there are no validation images, or several workers are at it.
    """
    _ = run.recipe.search_space  # a recipe without one is refused
    _check(run, method, trials, hours, least_clean, seed)
    names = find_names(names, run.recipe)
    deadline = time.monotonic() + 3600 * hours if hours is not None else None
    run_stages(run, ("teacher", "cache"))
    with locked(run.path(".stages/lock")):
        possible, shape = _possible(run, names), run.data.train.input_shape
        hypermodel = RecipeHyperModel(run.recipe, possible, shape)
        settings = math.prod(map(len, hypermodel.choices.values()))
        epochs = run.recipe.train.epochs
        oracle = make_oracle(method, trials, epochs, seed, settings=settings, deadline=deadline)
        tuner = _tuner(run, oracle, hypermodel, least_clean, [method, seed])
        _search(tuner)
        return _results(tuner, method, seed)


def _search(tuner: RecipeTuner) -> None:
    try:
        tuner.search()
    except TrialEnded as ended:
        raise ended.cause from None


def _check(
    run: Run, method: str, trials: int, hours: float | None, least_clean: float, seed: int
) -> None:
    """Raise UserError for an option that is none."""
    check_name("--method", method, METHODS)
    if trials < 1 or not 0 <= seed < SEEDS:
        raise UserError(
            f"--trials must be at least 1 and --seed from 0 to {SEEDS - 1:,}; got {trials} and "
            f"{seed}."
        )
    if hours is not None and not hours > 0:
        raise UserError(f"--hours must be above 0; got {hours}.")
    if not 0 <= least_clean <= 1:
        raise UserError(f"--least-clean is a share from 0 to 1, e.g. 0.8; got {least_clean}.")
    if not run.recipe.data.validation:
        raise UserError(
            f"tune measures on validation images, and recipe {run.recipe.name} holds none back; "
            "give e.g. --set data.validation=1000."
        )
    run.check_one_host("tune")


def _tuner(
    run: Run,
    oracle: Oracle,
    hypermodel: RecipeHyperModel,
    least_clean: float,
    chosen: list[Any],
) -> RecipeTuner:
    """Return a tuner in a folder of its own for all that its trials' order depends on: the
    `chosen` method and seed, and what is tuned."""
    told = [*chosen, least_clean, hypermodel.choices, run.recipe.model_dump(mode="json")]
    with contextlib.redirect_stdout(io.StringIO()):  # Keras Tuner says that it goes on
        return RecipeTuner(
            run,
            hypermodel,
            least_clean,
            oracle=oracle,
            directory=str(run.path("tune")),
            project_name=f"{chosen[0]}_{digest(told)[:8]}",
        )


def _possible(run: Run, names: list[str]) -> list[str]:
    """Return the names without the taps where this teacher's blocks cannot be told apart."""
    if "taps" in names:
        try:
            tap(run.teacher, "block")
        except UserError as error:
            run.say(f"tune: taps are left out: {error}")
            return [name for name in names if name != "taps"]
        finally:
            run.forget("teacher")
    return names


def _results(tuner: RecipeTuner, method: str, seed: int) -> dict[str, Any]:
    """Write what the trials have found, and print the table."""
    run, finished = tuner.run, {}
    for trial in tuner.oracle.trials.values():
        if trial.status == "COMPLETED":
            finished[trial.trial_id] = trial
    if not finished:
        raise UserError("no trial has ended; give more --hours, and the same command goes on.")
    rows = ranked(_row(tuner, trial) for trial in finished.values())
    held_out = len(held_out_images(run))
    tuning = {
        "recipe": run.recipe.name,
        "method": method,
        "seed": seed,
        "objective": {
            "attack": "pgd20",
            "split": "validation",
            "n": min(run.recipe.evaluation.n, held_out),
            "epsilon": run.recipe.evaluation.epsilon,
            "least_clean": tuner.least_clean,
        },
        "tuned": tuner.hypermodel.choices,
        "own": tuner.hypermodel.own,
        "settings": run.recipe.model_dump(mode="json"),
        "trials": rows,
        "recipe_file": f"{run.recipe.name}_tuned.py",
    }
    tuning["picture"] = {"file": "tune.png", "text": in_a_sentence(tuning)}
    best = tuner.hypermodel.build(finished[rows[0]["trial"]].hyperparameters)
    best = best.model_copy(update={"name": ""})  # the file's own
    path = run.path(tuning["recipe_file"])
    atomic_write(path, recipe_file(best, _docstring(tuning, str(path))))
    atomic_write(run.path("tune.png"), tuning_picture(tuning))
    write_json(run.path("tune.json"), tuning)
    PlainConsole().print(tuning_table(tuning))
    run.say(f"tune: {run.path('tune.json')}, {run.path('tune.png')}")
    if rows[0]["clean"] < tuner.least_clean:
        run.say(
            f"tune: no trial is right on {percent(tuner.least_clean)} % of the clean images, as "
            "--least-clean asks; first is the one nearest to that, whatever it withstands."
        )
    run.say(f"tune: the best settings: rnascl run {path}")
    return tuning


def _row(tuner: RecipeTuner, trial: Trial) -> dict[str, Any]:
    figures = tuner.figures_of(trial)
    del figures["signature"]
    settings = tuner.settings_of(trial)
    return {"trial": trial.trial_id, "score": trial.score, "settings": settings, **figures}


def _docstring(tuning: dict[str, Any], path: str) -> str:
    """Return the docstring of the file with the best settings."""
    best = tuning["trials"][0]
    epochs, (low, high) = best["epochs"], best["intervals"]["pgd20"]
    fields = {
        "Changed": f"{in_words(best['settings'], tuning['own'])}; found by {tuning['method']} "
        f"trials, seed {tuning['seed']}, ranked by {what_counts(tuning)}",
        "Command": f"rnascl run {path}",
        "Hardware": hardware(),
        "Duration": f"{duration(best['seconds'])} for search and training alone, of "
        f"{epochs['search']} and {epochs['train']} epochs",
        "Measured": f"on the validation images clean {percent(best['clean'])}, PGD-20 "
        f"{percent(best['pgd20'])} % (95 % interval {percent(low)} to {percent(high)}), the best "
        "of several and therefore a little too high; not yet run on the test images",
    }
    lines = [
        textwrap.fill(
            text,
            98,
            initial_indent=f"{name + ':':11}",
            subsequent_indent=11 * " ",
            break_long_words=False,
            break_on_hyphens=False,
        )
        for name, text in fields.items()
    ]
    title = f"Recipe {tuning['recipe']} with the best settings of {len(tuning['trials'])} trials."
    return "\n".join([title, "", *lines])
