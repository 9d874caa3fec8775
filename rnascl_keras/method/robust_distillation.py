"""Distillation on adversarial images of the student: ARD and RSLAD, each as terms and attack.

Distiller(teacher, student, *ard(epsilon=8 / 255, step_size=2 / 255, steps=10))
"""

from __future__ import annotations

from collections.abc import Sequence

from rnascl_keras.method.inner_attacks import (
    InnerAttack,
    StepPGD,
    normal_start,
    on_labels,
    on_teacher,
    uniform_start,
)
from rnascl_keras.method.output_losses import KLDistillation
from rnascl_keras.method.terms import CrossEntropy, OutputTerm, Term

Robust = tuple[Sequence[Term], InnerAttack]


def ard(
    *, epsilon: float, step_size: float, steps: int, alpha: float = 1.0, softening: float = 30.0
) -> Robust:
    """Adversarially robust distillation (Goldblum et al., 2020, eq. 3 and algorithm 1).

    alpha t^2 KL(teacher(x) || student(x')) + (1 - alpha) CE(student(x)), both logits divided by
    the softening t in the first; x' raises the cross-entropy from a uniform point of the ball.
    Their script's settings for CIFAR-10 are alpha 1 and t 30.

    Args:
        epsilon, step_size, steps: of the ascent, in pixel units of [0, 1].
        alpha, softening: see above.
    """
    divergence = KLDistillation("teacher_student", softening)
    terms = [
        OutputTerm(divergence, alpha, "kl", adversarial=True),
        CrossEntropy(1 - alpha),
    ]
    return terms, StepPGD(on_labels, uniform_start(epsilon), epsilon, step_size, steps)


def rslad(
    *, epsilon: float, step_size: float, steps: int, adversarial_share: float = 5 / 6
) -> Robust:
    """Robust soft label adversarial distillation (Zi et al., 2021, eq. 5 to 7).

    (1 - lambda) KL(teacher(x) || student(x)) + lambda KL(teacher(x) || student(x')), without any
    label; x' raises the second from beside the image. As their script has it, lambda is 5/6.

    Args:
        epsilon, step_size, steps: of the ascent, in pixel units of [0, 1].
        adversarial_share: their lambda.
    """
    divergence = KLDistillation("teacher_student")
    terms = [
        OutputTerm(divergence, 1 - adversarial_share, "kl"),
        OutputTerm(divergence, adversarial_share, "robust_kl", adversarial=True),
    ]
    return terms, StepPGD(on_teacher, normal_start(0.001), epsilon, step_size, steps)
