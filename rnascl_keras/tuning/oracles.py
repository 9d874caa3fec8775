"""What chooses the settings of the next trial: Keras Tuner's oracles, made to survive a kill."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import keras_tuner
import numpy as np
from keras_tuner.oracles import BayesianOptimizationOracle, HyperbandOracle, RandomSearchOracle

from rnascl_keras.errors import UserError
from rnascl_keras.files.whole import write_json
from rnascl_keras.tuning.kept_state import HYPERBAND, ORACLE, TRIAL, OtherContent, check_kept

OBJECTIVE = "score"
INITIAL_POINTS = 5
"""Random trials before the Bayesian ones: Keras Tuner's own default, three for each
hyperparameter, would leave nothing else of a budget of twenty."""


class _Steady(keras_tuner.Oracle):
    """What is added to an oracle: the first trial is the recipe as it is; no trial begins after
    `deadline`, of `time.monotonic`; and its files are whole or absent, also after a kill."""

    deadline: float | None = None
    kept = ORACLE
    """Keys of its file."""

    def populate_space(self, trial_id: str) -> dict[str, Any]:
        if self.deadline is not None and time.monotonic() >= self.deadline:
            return {"status": "STOPPED"}
        return super().populate_space(trial_id)

    def _random_values(self) -> dict[str, Any] | None:
        if self.trials:
            return super()._random_values()
        return dict(self.hyperparameters.values)

    def save(self) -> None:
        write_json(Path(self._get_oracle_fname()), self.get_state())

    def _save_trial(self, trial: Any) -> None:
        write_json(Path(self._get_trial_dir(trial.trial_id), "trial.json"), trial.get_state())

    def reload(self) -> None:
        """Read the files of the tuner that is to go on.

        Raises:
            UserError: they are damaged, or of another version of this package or of Keras Tuner.
        """
        oracle = Path(self._get_oracle_fname())
        reading = oracle.parent
        try:
            for reading in oracle.parent.glob("trial_*/trial.json"):
                check_kept(reading, TRIAL)
            reading = oracle
            check_kept(oracle, self.kept)
            reading = oracle.parent
            super().reload()
            # One that was killed between its own file and the oracle's was never begun.
            self.trials = {name: self.trials[name] for name in self.start_order}
            if lost := self.trials.keys() - {*self.end_order, *self._retry_queue}:
                reading = oracle
                raise OtherContent(f"trial {min(lost)} is neither over nor in ongoing_trials")
        except Exception as error:  # Keras Tuner takes apart whatever is there
            told = str(error) if isinstance(error, OtherContent) else type(error).__name__
            raise UserError(
                f"{reading} is damaged, or of another version ({told} when it was read); delete "
                f"{oracle.parent}, and its trials are chosen again, of which none is trained anew "
                "that is there."
            ) from error


class _Hyperband(_Steady, HyperbandOracle):
    """Keras Tuner's, which begins with the bracket of the most and shortest trials, without those
    brackets that so many trials, or settings, would not see to their end: else none is prolonged.

    Args:
        trials: it stops after so many.
        settings: of how many there is a choice.
        arguments: of Keras Tuner's oracle.
    """

    kept = HYPERBAND

    def __init__(self, trials: int, settings: int, **arguments: Any) -> None:
        self._limits = trials, settings
        super().__init__(**arguments)
        self.max_trials = trials

    def _get_num_brackets(self) -> int:
        trials, settings = self._limits
        most = super()._get_num_brackets()
        sizes = [[self._get_size(k, r) for r in range(k + 1)] for k in range(most)]
        return 1 + max(
            (k for k in range(most) if sum(sizes[k]) <= trials and sizes[k][0] <= settings),
            default=0,
        )


class _Bayesian(_Steady, BayesianOptimizationOracle):
    def populate_space(self, trial_id: str) -> dict[str, Any]:
        """As Keras Tuner's, but where it would try the same again, something at random instead."""
        proposal = super().populate_space(trial_id)
        if proposal["status"] == "RUNNING" and self._duplicate(proposal["values"]):
            return self._random_populate_space()
        return proposal


class _Random(_Steady, RandomSearchOracle):
    pass


METHODS = ("hyperband", "bayesian", "random")


def make_oracle(
    method: str,
    trials: int,
    epochs: int,
    seed: int,
    *,
    settings: int,
    deadline: float | None = None,
) -> keras_tuner.Oracle:
    """Return an oracle.

    Args:
        method: of `METHODS`.
        trials: it stops after so many.
        epochs: of a whole training; Hyperband begins with fewer.
        seed: of its draws, at least 0.
        settings: of how many there is a choice; Hyperband's trials are tried again for longer.
        deadline: of `time.monotonic`, after which no trial begins.
    """
    shared = {
        "objective": keras_tuner.Objective(OBJECTIVE, "max"),
        "seed": _spread(seed),
    }
    if method == "hyperband":
        # 0 stands for no end of them
        oracle = _Hyperband(trials, settings, max_epochs=epochs, hyperband_iterations=0, **shared)
    elif method == "bayesian":
        oracle = _Bayesian(max_trials=trials, num_initial_points=INITIAL_POINTS, **shared)
    else:
        oracle = _Random(max_trials=trials, **shared)
    oracle.verbose = 0
    oracle.deadline = deadline
    return oracle


def _spread(seed: int) -> int:
    """Return a seed far from those of its neighbours: Keras Tuner adds the numbers of trials to it,
    so that with 0 and 1 it would draw the same, one trial later. Above 0, which is none to it."""
    return 1 + int(np.random.SeedSequence(seed).generate_state(1)[0]) // 2
