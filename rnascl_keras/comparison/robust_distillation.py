"""Distillation on adversarial images of the student: ARD and RSLAD."""

from __future__ import annotations

from typing import Any

import keras
import tensorflow as tf

from rnascl_keras.attacks.ascent import ascend
from rnascl_keras.distribution.replicas import draw_for_images
from rnascl_keras.method import losses
from rnascl_keras.method.distill import CrossLayerDistiller
from rnascl_keras.method.training import accuracy

Tensor = Any


class RobustDistiller(CrossLayerDistiller):
    """What ARD and RSLAD share: the student's own adversarial images, by projected ascent on
    `objective` in inference mode, answered by the teacher's logits on the clean ones.

    Args:
        epsilon, step_size, steps: of the ascent, in pixel units of [0, 1].
        others: as of `CrossLayerDistiller`; there are neither tutors nor TRADES.
    """

    def __init__(
        self, *args: Any, epsilon: float, step_size: float, steps: int, **others: Any
    ) -> None:
        super().__init__(*args, **others)
        self.epsilon = epsilon
        self.step_size = step_size
        self.steps = steps

    def start(self, images: Tensor) -> Tensor:
        """Return where the ascent begins, (batch, h, w, c)."""
        raise NotImplementedError

    def objective(self, logits: Tensor, labels: Tensor, teacher_logits: Tensor) -> Tensor:
        """Return what the ascent raises, for each image, (batch,)."""
        raise NotImplementedError

    def terms(
        self, labels: Tensor, teacher_logits: Tensor, logits: Tensor, attacked: Tensor
    ) -> dict[str, Tensor]:
        """Return the loss and its parts by name, scalars.

        Args:
            labels: (batch,).
            teacher_logits: on the clean images, (batch, classes).
            logits, attacked: the student's, on the clean and on the adversarial images.
        """
        raise NotImplementedError

    def loss_parts(
        self,
        images: Tensor,
        labels: Tensor,
        teacher_logits: Tensor,
        tutor_maps: Tensor,
        adversarial: Tensor | None = None,
        teacher_gradients: Tensor | None = None,
    ) -> dict[str, Tensor]:
        """Return the loss and its parts by name, as `CrossLayerDistiller.loss_parts`."""
        logits = self.student(images, training=True)
        attacked = self.student(adversarial, training=True)
        terms = self.terms(labels, teacher_logits, logits, attacked)
        return {**terms, "accuracy": accuracy(labels, logits)}

    def adversarial(self, images: Tensor, labels: Tensor, teacher_logits: Tensor) -> Tensor:
        return ascend(
            lambda x: self.objective(self.student(x, training=False), labels, teacher_logits),
            self.start(images),
            images,
            epsilon=self.epsilon,
            step_size=self.step_size,
            steps=self.steps,
        )


class ARD(RobustDistiller):
    """Adversarially robust distillation (Goldblum et al., 2020, eq. 3 and algorithm 1).

    alpha t^2 KL(teacher(x) || student(x')) + (1 - alpha) CE(student(x)), both logits divided by
    the softening t in the first; x' raises the cross-entropy from a uniform point of the ball.
    Their script's settings for CIFAR-10 are alpha 1 and t 30.

    Args:
        alpha: see above.
        others: as of `RobustDistiller`.
    """

    parts = ("loss", "kl", "cross_entropy", "accuracy")

    def __init__(self, *args: Any, alpha: float = 1.0, softening: float = 30.0, **others: Any):
        super().__init__(*args, softening=softening, **others)
        self.alpha = alpha

    def start(self, images: Tensor) -> Tensor:
        change = draw_for_images(
            lambda shape: keras.random.uniform(shape, -1.0, 1.0, seed=self.noise), images
        )
        return images + self.epsilon * tf.cast(change, images.dtype)

    def objective(self, logits: Tensor, labels: Tensor, teacher_logits: Tensor) -> Tensor:
        return losses.cross_entropy(labels, logits)

    def terms(
        self, labels: Tensor, teacher_logits: Tensor, logits: Tensor, attacked: Tensor
    ) -> dict[str, Tensor]:
        kl = tf.reduce_mean(losses.kl_divergence(teacher_logits, attacked, self.softening))
        clean = tf.reduce_mean(losses.cross_entropy(labels, logits))
        loss = self.alpha * kl + (1 - self.alpha) * clean
        return {"loss": loss, "kl": kl, "cross_entropy": clean}


class RSLAD(RobustDistiller):
    """Robust soft label adversarial distillation (Zi et al., 2021, eq. 5 to 7).

    (1 - lambda) KL(teacher(x) || student(x)) + lambda KL(teacher(x) || student(x')), without any
    label; x' raises the second from beside the image. As their script has it, lambda is 5/6.

    Args:
        adversarial_share: their lambda.
        others: as of `RobustDistiller`.
    """

    parts = ("loss", "kl", "robust_kl", "accuracy")

    def __init__(self, *args: Any, adversarial_share: float = 5 / 6, **others: Any) -> None:
        super().__init__(*args, **others)
        self.adversarial_share = adversarial_share

    def start(self, images: Tensor) -> Tensor:
        change = draw_for_images(lambda shape: keras.random.normal(shape, seed=self.noise), images)
        return images + 0.001 * tf.cast(change, images.dtype)

    def objective(self, logits: Tensor, labels: Tensor, teacher_logits: Tensor) -> Tensor:
        return losses.kl_divergence(teacher_logits, logits)

    def terms(
        self, labels: Tensor, teacher_logits: Tensor, logits: Tensor, attacked: Tensor
    ) -> dict[str, Tensor]:
        clean = tf.reduce_mean(losses.kl_divergence(teacher_logits, logits))
        robust = tf.reduce_mean(losses.kl_divergence(teacher_logits, attacked))
        share = self.adversarial_share
        return {"loss": (1 - share) * clean + share * robust, "kl": clean, "robust_kl": robust}
