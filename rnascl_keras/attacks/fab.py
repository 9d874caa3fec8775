"""FAB: the nearest adversarial image, by steps onto the linearised boundary (Croce and Hein, 2020,
"Minimally distorted adversarial examples with a fast adaptive boundary attack")."""

from __future__ import annotations

import numpy as np

from rnascl_keras.attacks import losses
from rnascl_keras.attacks.hyperplane import towards_hyperplane
from rnascl_keras.attacks.iterated import IteratedAttack
from rnascl_keras.attacks.norms import PIXELS, TINY
from rnascl_keras.attacks.state import State, choose
from rnascl_keras.attacks.verdict import is_right
from rnascl_keras.attacks.words import counted_steps, runs_in_words

TARGETS = 9


class FAB(IteratedAttack):
    """Steps to the linearised boundary between the true class and another, back and forth.

    Args:
        epsilon: radius of the ball; for L-infinity in pixel units of [0, 1]. An adversarial image
            counts where it lies inside.
        norm: "Linf", "L2" or "L1".
        targeted: against each of the 9 most probable other classes; otherwise towards the boundary
            that is nearest, which takes a gradient for each class.
        steps: number of steps of each run.
        restarts: number of runs, against each target; all but the first start at random.
        largest_share: of the original image in a step (the paper's alpha_max).
        overshoot: beyond the boundary (eta).
        backward: what is kept of an adversarial change, to step back towards the image (beta).
    """

    best_so_far = True
    confined = False

    def __init__(
        self,
        epsilon: float,
        *,
        norm: str = "Linf",
        targeted: bool = True,
        steps: int = 100,
        restarts: int = 1,
        largest_share: float = 0.1,
        overshoot: float = 1.05,
        backward: float = 0.9,
    ):
        targets = TARGETS if targeted else 0
        super().__init__(epsilon, norm=norm, steps=steps, restarts=restarts, targets=targets)
        self.largest_share = largest_share
        self.overshoot = overshoot
        self.backward = backward
        self.loss = losses.difference if targeted else losses.margin
        self.key, self.name = ("fab_t", "targeted FAB") if targeted else ("fab", "FAB")

    @property
    def how(self) -> str:
        runs = runs_in_words(self.restarts, self.targets)
        return f"{counted_steps(self.steps)} onto the linearised boundary, {runs}"

    def start(self, state: State) -> np.ndarray:
        """The image; in later runs a random point at half the radius."""
        points, radius = state.images.copy(), 0.5 * self.epsilon
        for row in np.flatnonzero(state.restart):
            change = self.norm.random_change(state.generators[row], points.shape[1:])
            points[row] += radius * change
        return np.clip(points, 0, 1)

    def advance(self, state: State, step: int) -> np.ndarray:
        self._step_back(state)
        distance, normal = self._nearest_boundary(state)
        # Both the point and the image onto the hyperplane through the boundary near the point.
        back = state.x - state.images
        of_image = distance + (normal * back).sum(axis=PIXELS)
        d_point = towards_hyperplane(state.x, normal, distance, self.norm)
        d_image = towards_hyperplane(state.images, normal, of_image, self.norm)
        a_point, a_image = (np.maximum(self.norm.length(d), 1e-8) for d in (d_point, d_image))
        share = np.minimum(a_point / (a_point + a_image), self.largest_share)
        share = share.reshape(-1, 1, 1, 1).astype(state.x.dtype)
        moved = (1 - share) * (state.x + self.overshoot * d_point)
        moved += share * (state.images + self.overshoot * d_image)
        return np.clip(moved, 0, 1).astype(state.images.dtype)

    def look(self, state: State, gradient: bool) -> None:
        """Only the logits: the gradient is wanted where the points are after the step back."""
        super().look(state, gradient=False)

    def _step_back(self, state: State) -> None:
        """Move adversarial points, which lie outside the ball, back towards their images."""
        wrong = ~is_right(state.logits, state.labels)
        state.x = choose(wrong, state.images + self.backward * (state.x - state.images), state.x)

    def _nearest_boundary(self, state: State) -> tuple[np.ndarray, np.ndarray]:
        """Return of the linearised boundary with the target, or with the class whose is nearest,
        what the difference of logits has to grow by, (b,), and its gradient, (b, h, w, c)."""
        if self.targets:
            return self._boundary(state, state.targets)
        nearest = np.full(len(state), np.inf)
        distance, normal = np.zeros(len(state)), np.zeros_like(state.x)
        for k in range(state.logits.shape[1]):
            targets = np.full_like(state.labels, k)
            wanted, gradient = self._boundary(state, targets)
            away = np.abs(wanted) / (self.norm.dual_length(gradient) + TINY)
            closer = (away < nearest) & (targets != state.labels)
            nearest, distance = np.where(closer, away, nearest), np.where(closer, wanted, distance)
            normal = choose(closer, gradient, normal)
        return distance, normal

    def _boundary(self, state: State, targets: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return the same of the boundary with these targets, (b,)."""
        logits, gradient = state.classifier.logits_and_gradient(
            state.x, losses.difference, state.labels, targets
        )
        return -losses.difference(np, logits, state.labels, targets)[0], gradient
