"""MI-FGSM: iterated FGSM with momentum (Dong et al., 2018, algorithm 1)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from rnascl_keras.attacks.norms import PIXELS
from rnascl_keras.attacks.pgd import PGD
from rnascl_keras.attacks.state import State, per_image


@dataclass(slots=True)
class MomentumState(State):
    """What MI-FGSM remembers.

    Attributes:
        momentum: (b, h, w, c).
    """

    momentum: np.ndarray = per_image()


class MIFGSM(PGD):
    """`steps` steps along a momentum of gradients, from the image itself.

    Args:
        epsilon: radius of the ball; for L-infinity in pixel units of [0, 1], e.g. 8 / 255.
        norm: "Linf", "L2" or "L1".
        steps: number of gradient steps.
        step_size: length of a step, in the norm; `epsilon / steps` by default, so that the steps
            together just reach the ball's edge.
        decay: what is kept of the momentum at each step (the paper's mu).
        stop_early: see `IteratedAttack`.
    """

    state_type = MomentumState

    def __init__(
        self,
        epsilon: float,
        *,
        norm: str = "Linf",
        steps: int = 10,
        step_size: float | None = None,
        decay: float = 1.0,
        stop_early: bool = True,
    ):
        step_size = epsilon / steps if step_size is None else step_size
        super().__init__(
            epsilon,
            norm=norm,
            steps=steps,
            step_size=step_size,
            random_start=False,
            stop_early=stop_early,
        )
        self.decay = decay
        self.key, self.name = "mi_fgsm", "MI-FGSM"

    @property
    def how(self) -> str:
        return f"{self.stepping}, momentum with decay {self.decay:g}"

    def start(self, state: MomentumState) -> np.ndarray:
        state.momentum = np.zeros_like(state.images)
        return super().start(state)

    def direction(self, state: MomentumState) -> np.ndarray:
        """Eq. 6 and 7: momentum = decay * momentum + gradient / |gradient|_1, then its sign
        (L2: its direction, section 3.3).

        The norm is each image's own sum of absolute values. Libraries that divide by the mean
        instead get a momentum larger by a constant, and the same sign. An image without gradient
        adds nothing to its momentum.
        """
        # (b, h, w, c) -> (b, 1, 1, 1)
        norm = np.abs(state.gradient).sum(axis=PIXELS, keepdims=True)
        share = np.divide(state.gradient, norm, out=np.zeros_like(state.gradient), where=norm > 0)
        state.momentum = self.decay * state.momentum + share
        return self.norm.direction(state.momentum, self.step_size)
