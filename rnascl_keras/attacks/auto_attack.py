"""AutoAttack: an ensemble whose members need no tuning (Croce and Hein, 2020; L1: 2021).

Its members' settings are those of the authors' code: APGD starts on the boundary of the ball, and
Square's squares shrink as for 10,000 queries, though it makes 5,000. In L1 APGD makes five runs on
the cross-entropy, and has five targets.
"""

from __future__ import annotations

import numpy as np

from rnascl_keras.attacks.apgd import APGD
from rnascl_keras.attacks.attack import Attack, Progress
from rnascl_keras.attacks.classifier import Classifier
from rnascl_keras.attacks.fab import FAB
from rnascl_keras.attacks.iterated import IteratedAttack
from rnascl_keras.attacks.square import Square
from rnascl_keras.attacks.state import Found
from rnascl_keras.attacks.words import runs_in_words
from rnascl_keras.errors import look_up

QUERIES = 5000


RUNS = {"Linf": 1, "L2": 1, "L1": 5}
"""Of the standard version's APGD on cross-entropy."""


def _standard(epsilon: float, norm: str) -> list[IteratedAttack]:
    return [
        APGD(epsilon, norm=norm, loss="ce", restarts=RUNS[norm]),
        APGD(epsilon, norm=norm, loss="targeted_dlr"),
        FAB(epsilon, norm=norm),
        Square(epsilon, norm=norm, queries=QUERIES, rescaled=False),
    ]


def _plus(epsilon: float, norm: str) -> list[IteratedAttack]:
    return [
        APGD(epsilon, norm=norm, loss="ce", restarts=5),
        APGD(epsilon, norm=norm, loss="dlr", restarts=5),
        FAB(epsilon, norm=norm, targeted=False, restarts=5),
        Square(epsilon, norm=norm, queries=QUERIES, rescaled=False),
        APGD(epsilon, norm=norm, loss="targeted_dlr"),
        FAB(epsilon, norm=norm),
    ]


def _rand(epsilon: float, norm: str) -> list[IteratedAttack]:
    return [APGD(epsilon, norm=norm, loss=loss, samples=20) for loss in ("ce", "dlr")]


VERSIONS = {
    "standard": (
        _standard,
        "APGD on cross-entropy, targeted APGD and FAB, Square; one run each{but}",
    ),
    "plus": (
        _plus,
        "APGD on cross-entropy and on DLR, and FAB, five runs each; Square, targeted APGD and FAB, "
        "one run each",
    ),
    "rand": (
        _rand,
        "APGD on cross-entropy and on DLR, gradients averaged over 20 passes; one run each",
    ),
}
"""Of each version, its members and how these are written together."""


class AutoAttack(Attack):
    """Its members one after the other, each on what the ones before have left.

    Args:
        epsilon: radius of the ball; for L-infinity in pixel units of [0, 1], e.g. 8 / 255.
        norm: "Linf", "L2" or "L1".
        version: "standard": APGD on the cross-entropy, then against the 9 most probable targets
            APGD on the targeted DLR loss and FAB, then Square with 5,000 queries; in L1 five
            restarts of the first, and 5 targets of the second. "plus": with five restarts, the
            untargeted DLR loss and untargeted FAB too. "rand", for models that are random: APGD on
            cross-entropy and DLR, its gradients averaged over 20 passes.

    Raises:
        UserError: unknown `version` or `norm`, or `epsilon` is no radius.
    """

    key, name = "auto_attack", "AutoAttack"

    def __init__(self, epsilon: float, *, norm: str = "Linf", version: str = "standard"):
        super().__init__(epsilon, norm=norm)
        members, _ = look_up("version of AutoAttack", version, VERSIONS)
        self.version = version
        self.attacks = members(epsilon, norm)

    @property
    def how(self) -> str:
        _, words = VERSIONS[self.version]
        runs = RUNS[self.norm.name]
        but = f", but {runs_in_words(runs)} of the first" if runs > 1 else ""
        return f"{self.version}: {words.format(but=but)}"

    def run(
        self,
        classifier: Classifier,
        images: np.ndarray,
        labels: np.ndarray,
        logits: np.ndarray,
        *,
        indices: np.ndarray | None = None,
        seed: int = 0,
        progress: Progress | None = None,
    ) -> Found:
        for attack in self.attacks:
            attack.check(classifier, logits.shape[1])
        indices = np.arange(len(images)) if indices is None else indices
        found = Found.nothing(images, labels, logits)
        for number, attack in enumerate(self.attacks):
            rows = np.flatnonzero(found.robust)
            if not len(rows):
                break
            part = attack.run(
                classifier,
                images[rows],
                labels[rows],
                logits[rows],
                indices=indices[rows],
                seed=seed,
                progress=self._overall(progress, number, len(rows) / len(images)),
            )
            found.merge(rows, part)
        return found

    def _overall(self, progress: Progress | None, number: int, left: float) -> Progress | None:
        """Return a progress of one member, that tells of the whole."""
        if progress is None:
            return None
        members = len(self.attacks)
        return lambda share, right: progress((number + share) / members, right * left)
