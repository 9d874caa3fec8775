"""Adversarial training of a classifier: the attack is part of the training step."""

from __future__ import annotations

from typing import Any

import keras
import tensorflow as tf

from rnascl_keras.attacks.base import ascend, check_epsilon
from rnascl_keras.errors import UserError, nearest
from rnascl_keras.losses import cross_entropy, l2_penalty
from rnascl_keras.training import TrainingModel, accuracy, descend, unpack_batch

Tensor = Any

METHODS = ("pgd", "fast")


class AdversarialTrainer(TrainingModel):
    """Trains `model` on adversarial images instead of the clean ones.

    `model` is trained in place; save and evaluate it as `trainer.model`. Compile the trainer with
    an optimizer only, then `fit` it on batches of (images, labels).

    Args:
        model: gives logits, (batch, h, w, c) in [0, 1] -> (batch, classes).
        method: "pgd" is Madry et al. (2018): `steps` signed steps from a uniform start. "fast" is
            Wong et al. (2020): one step of 1.25 `epsilon` from a uniform start; it costs a fraction
            and can collapse in the middle of training, so watch the robust accuracy.
        epsilon: radius of the L-infinity ball in pixel units of [0, 1], e.g. 8 / 255.
        steps: of "pgd"; "fast" takes one.
        step_size: length of a step, in pixel units of [0, 1]. By default a quarter of `epsilon`
            for "pgd" (Madry et al.'s 2/255 at 8/255) and 1.25 `epsilon` for "fast".
        weight_decay: rate of the coupled L2 term added to the loss, see `losses.l2_penalty`.
        seed: of the random starts.

    The attack sees the model in inference mode, so it does not move the batch normalisation's
    statistics. `fit` reports `loss` (without the L2 term) and `accuracy` on the adversarial images;
    `evaluate` and validation report both on the clean images.

    Raises:
        UserError: unknown `method`, `steps` below 1, or `epsilon` not in (0, 1].
    """

    def __init__(
        self,
        model: keras.Model,
        *,
        method: str = "pgd",
        epsilon: float,
        steps: int = 7,
        step_size: float | None = None,
        weight_decay: float = 5e-4,
        seed: int = 0,
        name: str = "adversarial_trainer",
    ) -> None:
        super().__init__(model, ("loss", "accuracy"), name)
        if method not in METHODS:
            raise UserError(
                f"adversarial training method {method!r} is unknown; expected one of "
                f"{', '.join(METHODS)}.{nearest(method, METHODS)}"
            )
        if steps < 1:
            raise UserError(f"adversarial training takes {steps} steps; expected at least 1.")
        self.model = model
        self.method = method
        self.epsilon = check_epsilon(epsilon)
        self.steps = 1 if method == "fast" else steps
        default_step = 1.25 * epsilon if method == "fast" else epsilon / 4
        self.step_size = default_step if step_size is None else step_size
        self.weight_decay = weight_decay
        self.noise = keras.random.SeedGenerator(seed)

    def attack(self, images: Tensor, labels: Tensor) -> Tensor:
        """Return the batch's adversarial images, (batch, h, w, c), for its labels, (batch,)."""
        noise = keras.random.uniform(
            tf.shape(images), -self.epsilon, self.epsilon, dtype=images.dtype, seed=self.noise
        )
        return ascend(
            lambda adversarial: cross_entropy(labels, self.model(adversarial, training=False)),
            images + noise,
            images,
            epsilon=self.epsilon,
            step_size=self.step_size,
            steps=self.steps,
        )

    def train_step(self, data: Any) -> dict[str, Tensor]:
        images, labels = unpack_batch(data, self.classes)
        adversarial = self.attack(images, labels)

        def robust_loss() -> tuple[Tensor, dict[str, Tensor]]:
            logits = self.model(adversarial, training=True)
            loss = tf.reduce_mean(cross_entropy(labels, logits))
            parts = {"loss": loss, "accuracy": accuracy(labels, logits)}
            return loss + l2_penalty(self.weight_variables, self.weight_decay), parts

        parts = descend(robust_loss, self.weight_variables, self.optimizer)
        return self.record(parts, labels)
