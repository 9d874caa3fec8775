"""PGD: projected gradient steps from a random start (Madry et al., 2018)."""

from __future__ import annotations

import numpy as np

from rnascl_keras.attacks import losses
from rnascl_keras.attacks.iterated import IteratedAttack
from rnascl_keras.attacks.state import State
from rnascl_keras.attacks.words import WHERE_IT_STARTS, runs_in_words, steps_in_words
from rnascl_keras.errors import look_up

LOSSES = {"cross_entropy": losses.log_odds, "margin": losses.margin}


class PGD(IteratedAttack):
    """`steps` steps along the gradient's sign (L2: the gradient; L1: the sign of its largest part).

    An image comes back at the first iterate that is misclassified; one that never is, at its last,
    of several runs at that of the largest margin. Without `stop_early` every image counts, and
    comes back, by its last iterate.

    Args:
        epsilon: radius of the ball; for L-infinity in pixel units of [0, 1], e.g. 8 / 255.
        norm: "Linf", "L2" or "L1".
        steps: number of gradient steps; the paper's PGD^20 takes 20.
        step_size: length of a step, in the norm; a quarter of `epsilon` by default.
        loss: "cross_entropy" or "margin".
        random_start: start from a uniform point of the ball instead of the image.
        restarts: number of runs; an image counts as robust where it survives all.
        stop_early: see `IteratedAttack`.

    Raises:
        UserError: unknown `loss` or `norm`, or `epsilon` is no radius.
    """

    def __init__(
        self,
        epsilon: float,
        *,
        norm: str = "Linf",
        steps: int = 20,
        step_size: float | None = None,
        loss: str = "cross_entropy",
        random_start: bool = True,
        restarts: int = 1,
        stop_early: bool = True,
    ):
        super().__init__(
            epsilon,
            norm=norm,
            steps=steps,
            random_start=random_start,
            restarts=restarts,
            stop_early=stop_early,
        )
        self.loss = look_up("loss", loss, LOSSES)
        self.step_size = epsilon / 4 if step_size is None else step_size
        self.key, self.name = f"pgd{steps}", f"PGD-{steps}"

    @property
    def how(self) -> str:
        on = ", on the margin of logits" if self.loss is losses.margin else ""
        start = WHERE_IT_STARTS[self.random_start]
        return f"{self.stepping}, {start}, {runs_in_words(self.restarts)}{on}"

    @property
    def stepping(self) -> str:
        """How many steps it takes, and of which length, in words."""
        return steps_in_words(self.steps, self.step_size, self.epsilon)

    def advance(self, state: State, step: int) -> np.ndarray:
        return state.x + self.step_size * self.direction(state)

    def direction(self, state: State) -> np.ndarray:
        """Return where the next step goes, of length 1 in the norm."""
        return self.norm.direction(state.gradient, self.step_size)
