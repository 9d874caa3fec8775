"""The Carlini-Wagner attack for L2: the smallest change by gradient descent (2017, section V)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from rnascl_keras.attacks import losses
from rnascl_keras.attacks.iterated import IteratedAttack
from rnascl_keras.attacks.state import State, per_image
from rnascl_keras.attacks.verdict import is_right

INSIDE = 1 - 1e-6  # keeps arctanh finite at pixels of 0 and 1
BETA_1, BETA_2, ADAM_EPSILON = 0.9, 0.999, 1e-8


@dataclass(slots=True)
class SearchState(State):
    """What the search for each image's smallest change remembers.

    Attributes:
        w: (b, h, w, c) the point, x = (tanh(w) + 1) / 2.
        origin: (b, h, w, c) the w of the image.
        weight: (b,) the c that is tried.
        low, high: (b,) the largest c that was too small, the smallest that was large enough.
        fooled: (b,) whether the image has been misclassified with this c.
        first, second: (b, h, w, c) Adam's moments.
        count: number of Adam's steps with this c.
    """

    w: np.ndarray = per_image()
    origin: np.ndarray = per_image()
    weight: np.ndarray = per_image()
    low: np.ndarray = per_image()
    high: np.ndarray = per_image()
    fooled: np.ndarray = per_image()
    first: np.ndarray = per_image()
    second: np.ndarray = per_image()
    count: int = 0


class CarliniWagnerL2(IteratedAttack):
    """Minimises |change|^2 + c * max(-margin, 0) with Adam, x = (tanh(w) + 1) / 2, and searches
    each image's c by bisection, from the image itself.

    Args:
        epsilon: L2 radius. An image has fallen once an adversarial one is found inside; among those
            that do not fall the search goes on for the whole number of steps.
        norm: "L2".
        search_steps: number of values of c tried.
        steps: number of gradient steps for each c.
        first_weight: the first c.
        learning_rate: of Adam.
    """

    norms = ("L2",)
    key, name = "cw", "CW"
    loss = losses.margin
    state_type = SearchState
    best_so_far = True
    confined = False

    def __init__(
        self,
        epsilon: float,
        *,
        norm: str = "L2",
        search_steps: int = 9,
        steps: int = 100,
        first_weight: float = 1.0,
        learning_rate: float = 0.01,
    ):
        super().__init__(epsilon, norm=norm, steps=search_steps * steps)
        self.steps_each = steps
        self.first_weight = first_weight
        self.learning_rate = learning_rate

    @property
    def how(self) -> str:
        weights = self.steps // self.steps_each
        return (
            f"{weights} weights by bisection, {self.steps_each} steps of Adam each, from the image"
        )

    def start(self, state: SearchState) -> np.ndarray:
        count = len(state)
        state.origin = np.arctanh(INSIDE * (2 * state.images - 1))
        state.low, state.high = np.zeros(count), np.full(count, np.inf)
        state.weight = np.full(count, self.first_weight)
        state.fooled = np.zeros(count, bool)
        self._restart(state)
        return state.images

    def advance(self, state: SearchState, step: int) -> np.ndarray:
        state.fooled |= ~is_right(state.logits, state.labels)
        if step and step % self.steps_each == 0:
            self._set_weight(state)
            return state.images
        # d/dx of |x - image|^2 + c * max(-margin, 0)
        push = np.where(state.loss < 0, state.weight, 0.0).reshape(-1, 1, 1, 1)
        slope = 2 * (state.x - state.images) - push.astype(state.x.dtype) * state.gradient
        self._descend(state, slope * (1 - np.tanh(state.w) ** 2) / 2)
        return (np.tanh(state.w) + 1) / 2

    def _descend(self, state: SearchState, slope: np.ndarray) -> None:
        """One step of Adam on `state.w`."""
        state.count += 1
        state.first = BETA_1 * state.first + (1 - BETA_1) * slope
        state.second = BETA_2 * state.second + (1 - BETA_2) * slope**2
        first = state.first / (1 - BETA_1**state.count)
        second = state.second / (1 - BETA_2**state.count)
        state.w = state.w - self.learning_rate * first / (np.sqrt(second) + ADAM_EPSILON)

    def _set_weight(self, state: SearchState) -> None:
        """Bisect c: a smaller one where the image was fooled, else a larger one; begin anew."""
        state.high = np.where(state.fooled, np.minimum(state.high, state.weight), state.high)
        state.low = np.where(state.fooled, state.low, np.maximum(state.low, state.weight))
        between = (state.low + np.minimum(state.high, 1e10)) / 2
        state.weight = np.where(np.isfinite(state.high), between, 10 * state.weight)
        state.fooled = np.zeros(len(state), bool)
        self._restart(state)

    def _restart(self, state: SearchState) -> None:
        state.w, state.count = state.origin, 0
        state.first = state.second = np.zeros_like(state.origin)
