"""FGSM: one signed gradient step to the edge of the ball (Goodfellow et al., 2015)."""

from __future__ import annotations

from rnascl_keras.attacks.base import Attack


class FGSM(Attack):
    """One step of length `epsilon` from the image itself.

    Args:
        epsilon: radius of the L-infinity ball in pixel units of [0, 1], e.g. 8 / 255.
    """

    key = "fgsm"

    def __init__(self, epsilon: float):
        super().__init__(epsilon, steps=1, step_size=epsilon, random_start=False)
