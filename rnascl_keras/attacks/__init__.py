"""Attacks by name. Importing this package does not import TensorFlow."""

from __future__ import annotations

from rnascl_keras.attacks.base import Attack
from rnascl_keras.attacks.fgsm import FGSM
from rnascl_keras.attacks.mi_fgsm import MIFGSM
from rnascl_keras.attacks.pgd import PGD
from rnascl_keras.errors import UserError, nearest

ATTACKS = {"fgsm": FGSM, "pgd": PGD, "pgd20": PGD, "mi_fgsm": MIFGSM}


def make_attack(name: str, epsilon: float) -> Attack:
    """Return the attack called `name`, with the settings its results are published under.

    Args:
        name: one of `ATTACKS`; "pgd" and "pgd20" are the same, 20 steps.
        epsilon: radius of the L-infinity ball in pixel units of [0, 1], e.g. 8 / 255.

    Raises:
        UserError: no attack of that name, or `epsilon` is not in (0, 1].
    """
    if name not in ATTACKS:
        raise UserError(
            f"attack {name!r} is unknown; expected one of {', '.join(ATTACKS)}."
            f"{nearest(name, ATTACKS)}"
        )
    return ATTACKS[name](epsilon)
