"""What is known of a system that the paper's tables compare with."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Figures:
    """Published accuracies in %, None where none was.

    Attributes:
        clean, fgsm, pgd20, mi_fgsm: of the test images, clean and under each attack.
    """

    clean: float
    fgsm: float | None
    pgd20: float
    mi_fgsm: float | None = None


@dataclass(frozen=True)
class Rival:
    """One row of the paper's Table 1, or a network that belongs beside them.

    Attributes:
        title: as it is written.
        recipe: the recipe whose run makes it; None where nothing can.
        adversarial: trained on adversarial images, as published.
        natural: trained without.
        parameters, macs: as published, in millions.
        counted: parameters, and multiply-adds in millions, of the network built here.
        remark: what has to be said beside it.
        prune: options of `rnascl prune` that make it of the recipe's network.
    """

    title: str
    recipe: str | None = None
    adversarial: Figures | None = None
    natural: Figures | None = None
    parameters: float | None = None
    macs: float | None = None
    counted: tuple[int, int] | None = None
    remark: str = ""
    prune: str = ""

    @property
    def command(self) -> str:
        """What makes it here."""
        if self.recipe is None:
            return ""
        verb = "prune" if self.prune else "run"
        return f"rnascl {verb} {self.recipe} {self.prune}".rstrip()
