"""Auto-PGD: PGD that sets its own step size (Croce and Hein, 2020, section 3)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from rnascl_keras.attacks import losses
from rnascl_keras.attacks.base import IteratedAttack
from rnascl_keras.attacks.state import State, choose, per_image
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

TARGETS = 9


@dataclass(slots=True)
class StepState(State):
    """What Auto-PGD remembers of each image.

    Attributes:
        step_size: (b, 1, 1, 1) length of the next step, in the norm.
        increases: (b,) number of steps since the last check in which the loss grew.
        was_halved: (b,) whether the last check halved the step size.
        checked_best: (b,) the largest loss when it was last checked.
        last_loss: (b,) of the point before.
        best_gradient: (b, h, w, c) at the point of the largest loss.
        last_x: (b, h, w, c) the point before.
    """

    step_size: np.ndarray = per_image()
    increases: np.ndarray = per_image()
    was_halved: np.ndarray = per_image()
    checked_best: np.ndarray = per_image()
    last_loss: np.ndarray = per_image()
    best_gradient: np.ndarray = per_image()
    last_x: np.ndarray = per_image()


class APGD(IteratedAttack):
    """Gradient steps with momentum; the step is halved where the loss stops growing.

    It starts from a random direction at the whole radius, as the authors' code does.

    Args:
        epsilon: radius of the ball; for L-infinity in pixel units of [0, 1], e.g. 8 / 255.
        norm: "Linf" or "L2".
        loss: "ce", "dlr", or "targeted_dlr", which is run against each of the 9 most probable
            other classes.
        steps: number of gradient steps of each run.
        restarts: number of runs from random starts, against each target.
        samples: gradients averaged for one step, for a model that is random.
        rho: the step is halved where the loss grew in fewer than this share of steps.

    Raises:
        UserError: unknown `loss` or `norm`, or `epsilon` is no radius.
    """

    state_type = StepState
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
        super().__init__(
            epsilon,
            norm=norm,
            steps=steps,
            random_start=True,
            restarts=restarts,
            targets=TARGETS if loss == "targeted_dlr" else 0,
        )
        self.loss, self.least_classes = LOSSES[loss]
        self.samples = samples
        self.rho = rho
        self.key = "apgd_t" if loss == "targeted_dlr" else f"apgd_{loss}"
        self.name = NAMES[self.key]
        self.checkpoints = _checkpoints(steps)

    @property
    def how(self) -> str:
        averaged = f", gradients averaged over {self.samples} passes" if self.samples > 1 else ""
        return f"{super().how}{averaged}"

    def start(self, state: StepState) -> np.ndarray:
        count = len(state)
        state.step_size = np.full((count, 1, 1, 1), 2 * self.epsilon, state.images.dtype)
        state.increases = np.zeros(count, int)
        state.was_halved = np.ones(count, bool)
        state.checked_best = state.last_loss = np.full(count, -np.inf)
        state.best_gradient, state.last_x = np.zeros_like(state.images), state.images
        shape = state.images.shape[1:]
        change = np.stack([self.norm.random_change(r, shape) for r in state.generators])
        change *= self.epsilon / self.norm.length(change)[:, None, None, None]
        return state.images + change.astype(state.images.dtype)

    def advance(self, state: StepState, step: int) -> np.ndarray:
        state.best_gradient = choose(state.improved, state.gradient, state.best_gradient)
        if step == 0:
            state.checked_best, state.last_x = state.best_loss, state.x
        else:
            state.increases += state.loss > state.last_loss
        state.last_loss = state.loss
        if step in self.checkpoints:
            self._check(state, self.checkpoints[step])
        # Eq. 1 and 2: a step, then momentum; the first has none.
        along = 0.75 if step else 1.0
        moved = self.project(state, state.x + state.step_size * self.norm.steepest(state.gradient))
        moved = state.x + along * (moved - state.x) + (1 - along) * (state.x - state.last_x)
        state.last_x = state.x
        return moved

    def _check(self, state: StepState, passed: int) -> None:
        """Halve the step and go back to the best point where the loss grew too seldom in the
        `passed` steps since the last check, or where neither step nor best loss has changed since.
        """
        seldom = state.increases <= self.rho * passed
        stuck = ~state.was_halved & (state.best_loss <= state.checked_best)
        halved = seldom | stuck
        state.step_size = choose(halved, state.step_size / 2, state.step_size)
        # The momentum of the next step then leads from the point before to the best.
        state.x = choose(halved, state.best_x, state.x)
        state.gradient = choose(halved, state.best_gradient, state.gradient)
        state.was_halved, state.checked_best = halved, state.best_loss
        state.increases = np.zeros_like(state.increases)


def _checkpoints(steps: int) -> dict[int, int]:
    """Return the steps after which the step size is checked, each with the steps since the one
    before: 22 % of all, then 3 % fewer each time, at least 6 % (section 3.1)."""
    period, least, fewer = (max(int(share * steps), 1) for share in (0.22, 0.06, 0.03))
    found, at = {}, period
    while at < steps:
        found[at] = period
        period = max(period - fewer, least)
        at += period
    return found
