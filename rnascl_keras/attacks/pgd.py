"""PGD: projected signed gradient steps from a random start (Madry et al., 2018)."""

from __future__ import annotations

from rnascl_keras.attacks.base import Attack


class PGD(Attack):
    """`steps` steps from a uniform point of the ball, one run; the last iterate is the result.

    Args:
        epsilon: radius of the L-infinity ball in pixel units of [0, 1], e.g. 8 / 255.
        steps: number of gradient steps; the paper's PGD^20 takes 20.
        step_size: length of a step, in pixel units of [0, 1]; a quarter of `epsilon` by default.
        random_start: start from a uniform point of the ball instead of the image.
    """

    def __init__(
        self,
        epsilon: float,
        *,
        steps: int = 20,
        step_size: float | None = None,
        random_start: bool = True,
    ):
        step_size = epsilon / 4 if step_size is None else step_size
        super().__init__(epsilon, steps=steps, step_size=step_size, random_start=random_start)
        self.key = f"pgd{steps}"
