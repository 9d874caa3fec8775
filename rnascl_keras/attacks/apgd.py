"""Auto-PGD: PGD that sets its own step size (Croce and Hein, 2020 and 2021)."""

from __future__ import annotations

from typing import Any

import numpy as np

from rnascl_keras.attacks import losses
from rnascl_keras.attacks.apgd_l1 import SparseSteps
from rnascl_keras.attacks.apgd_steps import HalvedSteps
from rnascl_keras.attacks.iterated import IteratedAttack
from rnascl_keras.attacks.state import State
from rnascl_keras.attacks.words import WHERE_IT_STARTS, counted_steps, runs_in_words
from rnascl_keras.errors import check_name

LOSSES = {
    "ce": (losses.log_odds, 2),
    "dlr": (losses.dlr, 3),
    "targeted_dlr": (losses.targeted_dlr, 4),
}
"""Of each loss, the function and the number of classes it needs."""

NAMES = {
    "apgd_ce": "APGD on cross-entropy",
    "apgd_dlr": "APGD on DLR",
    "apgd_t": "targeted APGD",
}

TARGETS = {"Linf": 9, "L2": 9, "L1": 5}


class APGD(IteratedAttack):
    """Gradient steps with momentum; the step is halved where the loss stops growing.

    It starts from a random direction at the whole radius, as the authors' code does. In L1 the
    steps have no momentum, but are sparse, and lead through larger balls: see `SparseSteps`.

    Args:
        epsilon: radius of the ball; for L-infinity in pixel units of [0, 1], e.g. 8 / 255.
        norm: "Linf", "L2" or "L1".
        loss: "ce", "dlr", or "targeted_dlr", which is run against each of the 9 (L1: 5) most
            probable other classes.
        steps: number of gradient steps of each run.
        restarts: number of runs from random starts, against each target.
        samples: gradients averaged for one step, for a model that is random.
        rho: the step is halved where the loss grew in fewer than this share of steps; not in L1.

    Raises:
        UserError: unknown `loss` or `norm`, or `epsilon` is no radius.
    """

    best_so_far = True

    def __init__(
        self,
        epsilon: float,
        *,
        norm: str = "Linf",
        loss: str = "ce",
        steps: int = 100,
        restarts: int = 1,
        samples: int = 1,
        rho: float = 0.75,
    ):
        check_name("loss", loss, LOSSES)
        super().__init__(epsilon, norm=norm, steps=steps, random_start=True, restarts=restarts)
        self.targets = TARGETS[norm] if loss == "targeted_dlr" else 0
        self.loss, self.least_classes = LOSSES[loss]
        self.samples = samples
        self.rho = rho
        self.key = "apgd_t" if loss == "targeted_dlr" else f"apgd_{loss}"
        self.name = NAMES[self.key]
        self.gradient_steps = steps
        self.rule: Any = (  # the rules share methods, each with a state of its own kind
            SparseSteps(self.epsilon, steps)
            if norm == "L1"
            else HalvedSteps(self.epsilon, self.norm, steps, rho)
        )
        self.state_type, self.steps = self.rule.state_type, self.rule.moves

    @property
    def how(self) -> str:
        counted, start = counted_steps(self.gradient_steps), WHERE_IT_STARTS[True]
        through = " through balls of 3, 2 and 1 times the radius" * (self.norm.name == "L1")
        averaged = f", gradients averaged over {self.samples} passes" if self.samples > 1 else ""
        return (
            f"{counted}{through}, {start}, {runs_in_words(self.restarts, self.targets)}{averaged}"
        )

    def start(self, state: State) -> np.ndarray:
        return self.rule.start(state)

    def advance(self, state: State, step: int) -> np.ndarray:
        return self.rule.advance(state, step)

    def project(self, state: State, points: np.ndarray) -> np.ndarray:
        return self.rule.project(state, points)

    def _inside(self, state: State) -> np.ndarray:
        return np.full(len(state), self.rule.in_the_ball(state))
