"""Terms on adversarial images about which the teacher is asked too."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from keras import ops

from rnascl_keras.distribution.replicas import of_all_replicas
from rnascl_keras.method.losses import log_probabilities
from rnascl_keras.method.need import Need
from rnascl_keras.method.output_losses import KLDistillation
from rnascl_keras.method.step import Step
from rnascl_keras.method.terms import Term

Tensor = Any


def entropy_weights(teacher_logits: Tensor) -> Tensor:
    """Return each image's weight by how unsure the teacher is, after SAAD (Lee and Chung, 2025).

    w = (H - min H) / mean(H - min H), H being the entropy in nats of the teacher's probabilities
    and minimum and mean those over the global batch: so the weights have mean 1, and an image that
    the teacher is surest of has none. Where the entropy is the same for all they are 1.

    Their script multiplies H - min H by 5 instead of dividing by its mean, so that the length of
    its steps changes with the teacher; there the clean images, with other weights, and IGDM come
    on top, and the attack follows a linear approximation of the teacher.

    Args:
        teacher_logits: (batch, classes).

    Returns:
        float32 (batch,).
    """
    log_p = log_probabilities(teacher_logits)
    negative: Tensor = ops.sum(ops.exp(log_p) * log_p, axis=-1)
    entropy = -negative
    every = of_all_replicas(entropy)  # (batch,) -> (global batch,)
    least: Tensor = ops.min(every)
    mean: Tensor = ops.mean(every - least)
    spread = mean > 1e-6  # nats; below it the differences are rounding
    weights = (entropy - least) / ops.where(spread, mean, 1.0)
    return ops.where(spread, weights, ops.ones_like(weights))


class AdaptiveKL(Term):
    """A KL divergence whose two sides are asked about the adversarial images.

    `terms.OutputTerm` holds the student's answers on them against the teacher's on the clean ones.

    Args:
        divergence: in which direction, and how it goes over the classes.
        weight, name: as of `Term`.
        weighing: the teacher's logits on them, (batch, classes), -> a weight for each image,
            (batch,): `entropy_weights`. None: all weigh the same.
    """

    needs = (Need.ADVERSARIAL, Need.LIVE_TEACHER)

    def __init__(
        self,
        divergence: KLDistillation,
        weight: float | None = 1.0,
        name: str = "adaptive_kl",
        *,
        weighing: Callable[[Tensor], Tensor] | None = None,
    ) -> None:
        super().__init__(name, weight)
        self.divergence = divergence
        self.weighing = weighing

    def compute(self, step: Step) -> Tensor:
        teacher_logits = step.ask_teacher(step.adversarial)
        values = self.divergence.of_images(teacher_logits, step.adversarial_logits)
        if self.weighing:
            values *= self.weighing(teacher_logits)
        return ops.mean(values)


class IndirectGradients(Term):
    """How differently teacher and student change between x + d and x - d (IGDM, Lee et al., 2024).

    s KL(softmax(T(x + d) - T(x - d)) || softmax(S(x + d) - S(x - d))), d being the change that the
    attack made of x, T and S the logits, and s the part of the epochs that have begun: it rises
    linearly to 1. Where both are nearly linear within the ball, the differences are 2 d times their
    input gradients, so these are matched without a second derivative. As in their script, the
    student is in training mode at both places, and x - d is not clipped to [0, 1].

    Args:
        divergence: in which direction, and how it goes over the classes.
        weight, name: as of `Term`; their script's weight is 1 for CIFAR-10, 10 for CIFAR-100.
    """

    needs = (Need.ADVERSARIAL, Need.LIVE_TEACHER, Need.EPOCH_SHARE)

    def __init__(
        self,
        divergence: KLDistillation,
        weight: float | None = 1.0,
        name: str = "indirect_gradients",
    ) -> None:
        super().__init__(name, weight)
        self.divergence = divergence

    def compute(self, step: Step) -> Tensor:
        opposite = 2.0 * step.images - step.adversarial  # x - d
        teacher = step.ask_teacher(step.adversarial) - step.ask_teacher(opposite)
        student = step.adversarial_logits - step.student(opposite, training=True)
        value: Tensor = ops.mean(self.divergence.of_images(teacher, student))
        return step.epoch_share * value
