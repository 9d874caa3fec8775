"""Terms on adversarial images about which the teacher is asked too."""

from __future__ import annotations

from typing import Any

from keras import ops

from rnascl_keras.method.output_losses import KLDistillation
from rnascl_keras.method.step import Need, Step
from rnascl_keras.method.terms import Term

Tensor = Any


class AdaptiveKL(Term):
    """A KL divergence whose two sides are asked about the adversarial images.

    `terms.OutputTerm` holds the student's answers on them against the teacher's on the clean ones.

    Args:
        divergence: in which direction, and how it goes over the classes.
        weight, name: as of `Term`.
    """

    needs = (Need.ADVERSARIAL, Need.LIVE_TEACHER)

    def __init__(
        self, divergence: KLDistillation, weight: float | None = 1.0, name: str = "adaptive_kl"
    ) -> None:
        super().__init__(name, weight)
        self.divergence = divergence

    def compute(self, step: Step) -> Tensor:
        teacher_logits = step.ask_teacher(step.adversarial)
        return ops.mean(self.divergence.of_images(teacher_logits, step.adversarial_logits))
