"""Attacks by name, on Keras models and on anything that gives logits and their gradient.

Importing this package, and using it with NumPy, imports neither TensorFlow nor Keras.
"""

from __future__ import annotations

from typing import Any

from rnascl_keras.attacks.apgd import APGD
from rnascl_keras.attacks.attack import Attack
from rnascl_keras.attacks.auto_attack import AutoAttack
from rnascl_keras.attacks.classifier import Classifier
from rnascl_keras.attacks.cw import CW
from rnascl_keras.attacks.cw_l2 import CarliniWagnerL2
from rnascl_keras.attacks.fab import FAB
from rnascl_keras.attacks.fgsm import FGSM
from rnascl_keras.attacks.iterated import IteratedAttack
from rnascl_keras.attacks.mi_fgsm import MIFGSM
from rnascl_keras.attacks.pgd import PGD
from rnascl_keras.attacks.sparse_rs import SparseRS
from rnascl_keras.attacks.square import Square
from rnascl_keras.attacks.state import State, per_image
from rnascl_keras.errors import look_up

__all__ = [
    "APGD",
    "ATTACKS",
    "Attack",
    "AutoAttack",
    "CW",
    "CarliniWagnerL2",
    "Classifier",
    "FAB",
    "FGSM",
    "IteratedAttack",
    "MIFGSM",
    "PGD",
    "SparseRS",
    "Square",
    "State",
    "attacks_in",
    "make_attack",
    "per_image",
]


def carlini_wagner(epsilon: float, *, norm: str = "Linf", **settings: Any) -> Attack:
    """Carlini and Wagner's attack of a norm: PGD on the margin, for L2 the smallest change."""
    kind = CarliniWagnerL2 if norm == "L2" else CW
    return kind(epsilon, norm=norm, **settings)


ATTACKS = {
    "fgsm": FGSM,
    "pgd": PGD,
    "pgd20": PGD,
    "mi_fgsm": MIFGSM,
    "cw": carlini_wagner,
    "apgd": APGD,
    "square": Square,
    "sparse_rs": SparseRS,
    "auto_attack": AutoAttack,
}


def make_attack(name: str, epsilon: float, **settings: Any) -> Attack:
    """Return the attack called `name`, with the settings its results are published under.

    Args:
        name: one of `ATTACKS`; "pgd" and "pgd20" are the same, 20 steps.
        epsilon: radius of the ball; for L-infinity in pixel units of [0, 1], e.g. 8 / 255, for L0
            the number of pixels.
        settings: others than published, as its entry in `ATTACKS` takes them: `norm="L2"`,
            `queries=500`.

    Raises:
        UserError: no attack of that name, it has no form for the norm, or `epsilon` is no radius.
    """
    return look_up("attack", name, ATTACKS)(epsilon, **settings)


def attacks_in(norm: str) -> list[str]:
    """Return the names of the attacks that have a form for a norm."""
    return [name for name, kind in ATTACKS.items() if norm in getattr(kind, "norms", Attack.norms)]
