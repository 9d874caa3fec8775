"""FGSM: one step to the edge of the ball (Goodfellow et al., 2015)."""

from __future__ import annotations

from rnascl_keras.attacks.pgd import PGD
from rnascl_keras.attacks.words import WHERE_IT_STARTS


class FGSM(PGD):
    """One step of length `epsilon` along the gradient's sign from the image; in other norms as PGD.

    Args:
        epsilon: radius of the ball; for L-infinity in pixel units of [0, 1], e.g. 8 / 255.
        norm: "Linf", "L2" or "L1".
    """

    def __init__(self, epsilon: float, *, norm: str = "Linf"):
        super().__init__(epsilon, norm=norm, steps=1, step_size=epsilon, random_start=False)
        self.key, self.name = "fgsm", "FGSM"

    @property
    def how(self) -> str:
        return f"{self.stepping}, {WHERE_IT_STARTS[False]}"
