"""How Auto-PGD steps in L1 (Croce and Hein, 2021, "Mind the box", sections 3 and 4)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from rnascl_keras.attacks.norms import L1, PIXELS
from rnascl_keras.attacks.state import State, choose, per_image

RADII = (3.0, 2.0, 1.0)
"""Of the balls that are searched one after the other, over that of the attack."""
FIRST_SHARE = 0.3
"""Of all steps, those in each ball but the last."""
CHECKED = 0.04
"""Of a ball's steps, those between two checks."""
SHRINK, LEAST_STEP = 1.5, 0.1
SPARSER = 0.95
"""Of the values changed at the last check: where there are fewer now, the step is long again."""


@dataclass(slots=True)
class SparseState(State):
    """What Auto-PGD remembers of each image in L1.

    Attributes:
        step_size: (b, 1, 1, 1) length of the next step.
        count: (b,) number of values that it changes.
        changed: (b,) number of values that differ from the image's at the best point, when last
            checked.
        ball_x, ball_gradient, ball_loss: of the largest loss in this ball.
        ball: which of the balls is searched.
    """

    step_size: np.ndarray = per_image()
    count: np.ndarray = per_image()
    changed: np.ndarray = per_image()
    ball_x: np.ndarray = per_image()
    ball_gradient: np.ndarray = per_image()
    ball_loss: np.ndarray = per_image()
    ball: int = 0


class SparseSteps:
    """Steps on the values of the largest gradients, as many as the best change so far suggests.

    Three balls are searched, of 3, 2 and 1 times the radius, each from the best point of the one
    before: the loss is larger in the large ones, and the way back leads to better points than one
    that stays in the small (section 4.2). As in the authors' code, the first starts from normally
    distributed noise, each step has two thirds as many values as the best change, and it is 1.5
    times shorter after each check at which this has not become sparser.

    Args:
        epsilon: L1 radius.
        steps: number of them.

    Attributes:
        state_type: the kind of `State` that they need.
        moves: from one point that is looked at to the next; to go into the next ball is one more.
    """

    state_type = SparseState

    def __init__(self, epsilon: float, steps: int) -> None:
        self.epsilon = epsilon
        # whatever the number of steps, one at least is left for the last ball
        each = min(int(np.ceil(FIRST_SHARE * steps)), max(steps - 1, 0) // 2)
        self.lengths = (each, each, steps - 2 * each)
        self.moves = steps + len(RADII) - 1
        self.ends = (each, 2 * each + 1)

    def start(self, state: SparseState) -> np.ndarray:
        """Return the first points: noise, moved into the largest ball."""
        shape = state.images.shape[1:]
        noise = np.stack([random.normal(size=shape) for random in state.generators])
        return self._enter(state, 0, state.images + noise.astype(state.images.dtype))

    def advance(self, state: SparseState, step: int) -> np.ndarray:
        """Return the next points, not yet projected."""
        better = state.loss > state.ball_loss
        state.ball_x = choose(better, state.x, state.ball_x)
        state.ball_gradient = choose(better, state.gradient, state.ball_gradient)
        state.ball_loss = choose(better, state.loss, state.ball_loss)
        if step in self.ends:
            return self._enter(state, self.ends.index(step) + 1, state.ball_x)
        made = step - (0, *(end + 1 for end in self.ends))[state.ball]
        if made and made % max(int(CHECKED * self.lengths[state.ball]), 1) == 0:
            self._check(state)
        return state.x + state.step_size * L1.spread(state.gradient, state.count)

    def project(self, state: SparseState, points: np.ndarray) -> np.ndarray:
        """Return the points moved into the ball that is searched."""
        return L1.project(points, state.images, RADII[state.ball] * self.epsilon)

    def in_the_ball(self, state: SparseState) -> bool:
        """Whether the points looked at lie in the attack's ball."""
        return state.ball == len(RADII) - 1

    def _enter(self, state: SparseState, ball: int, points: np.ndarray) -> np.ndarray:
        """Begin with a ball, at these points."""
        state.ball = ball
        points = self.project(state, points)
        state.ball_x, state.ball_gradient = points, np.zeros_like(points)
        state.ball_loss = np.full(len(state), -np.inf)
        longest = RADII[ball] * self.epsilon
        state.step_size = np.full((len(state), 1, 1, 1), longest, points.dtype)
        self._count(state)
        return points

    def _check(self, state: SparseState) -> None:
        """Shorten the step; where the best change has become sparser, go back to it with the
        longest step instead."""
        longest = RADII[state.ball] * self.epsilon
        before = state.changed
        self._count(state)
        sparser = state.changed < SPARSER * before
        shorter = np.maximum(state.step_size / SHRINK, LEAST_STEP * longest)
        state.step_size = choose(sparser, np.full_like(shorter, longest), shorter)
        state.x = choose(sparser, state.ball_x, state.x)
        state.gradient = choose(sparser, state.ball_gradient, state.gradient)

    def _count(self, state: SparseState) -> None:
        """Count what the best change consists of, and let steps have two thirds of that."""
        state.changed = np.count_nonzero(state.ball_x - state.images, axis=PIXELS)
        size = state.images[0].size
        left = ((1 - state.changed / size / SHRINK) * size).astype(int)
        state.count = size - np.minimum(left, size - 1)
