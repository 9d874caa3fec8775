"""How Auto-PGD steps in L-infinity and L2 (Croce and Hein, 2020, section 3)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from rnascl_keras.attacks.norms import Norm
from rnascl_keras.attacks.state import State, choose, per_image


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


class HalvedSteps:
    """Steps with momentum, halved where the loss stops growing, from the ball's edge.

    Args:
        epsilon: radius of the ball.
        norm: L-infinity or L2.
        steps: number of them.
        rho: the step is halved where the loss grew in fewer than this share of steps.

    Attributes:
        state_type: the kind of `State` that they need.
        moves: from one point that is looked at to the next.
    """

    state_type = StepState

    def __init__(self, epsilon: float, norm: type[Norm], steps: int, rho: float) -> None:
        self.epsilon, self.norm, self.rho = epsilon, norm, rho
        self.moves = steps
        self.checkpoints = _checkpoints(steps)

    def start(self, state: StepState) -> np.ndarray:
        """Return the first points: a random direction at the whole radius."""
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
        """Return the next points, not yet projected."""
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

    def project(self, state: State, points: np.ndarray) -> np.ndarray:
        """Return the points moved into the ball."""
        return self.norm.project(points, state.images, self.epsilon)

    def in_the_ball(self, state: State) -> bool:
        """Whether the points looked at lie in the attack's ball."""
        return True

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
