"""The Carlini-Wagner attack for L-infinity: projected gradient steps on its margin (2017)."""

from __future__ import annotations

from rnascl_keras.attacks.pgd import PGD


class CW(PGD):
    """PGD on the margin, the largest other logit minus the true one (their f_6).

    Their own L-infinity attack shrinks the largest allowed change step by step; at a given radius
    it is usual to keep their loss and to project instead (Madry et al., 2018).

    Args:
        epsilon: radius of the ball in pixel units of [0, 1], e.g. 8 / 255.
        norm: "Linf", "L2" or "L1".
        steps: number of gradient steps.
        step_size: length of a step, in the norm; a quarter of `epsilon` by default.
        restarts: number of runs from random starts.
    """

    def __init__(
        self,
        epsilon: float,
        *,
        norm: str = "Linf",
        steps: int = 20,
        step_size: float | None = None,
        restarts: int = 1,
    ):
        super().__init__(
            epsilon,
            norm=norm,
            steps=steps,
            step_size=step_size,
            loss="margin",
            restarts=restarts,
        )
        self.key, self.name = "cw", "CW"
