"""Adversarial training of a classifier: the attack is part of the training step."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import keras
import tensorflow as tf

from rnascl_keras.attacks.ascent import ascend
from rnascl_keras.attacks.norms import check_epsilon
from rnascl_keras.distribution.replicas import draw_for_images
from rnascl_keras.errors import UserError, check_name
from rnascl_keras.method.batches import unpack_batch
from rnascl_keras.method.kept_weights import ROBUST_ACCURACY, KeepsWeights
from rnascl_keras.method.losses import cross_entropy, log_odds, trades_loss
from rnascl_keras.method.trades import Trades
from rnascl_keras.method.training import accuracy, descend

Tensor = Any


@dataclass(frozen=True)
class AttackScale:
    """Where and how far an attack on the cross-entropy goes, all in units of epsilon.

    Attributes:
        noise: half width of the uniform noise that it starts from.
        step_size: of a step, where the user gives none.
        projected: whether the result is projected into the ball of radius epsilon.
        single: one step only.
    """

    noise: float
    step_size: float
    projected: bool
    single: bool


SCALES = {
    "pgd": AttackScale(noise=1, step_size=1 / 4, projected=True, single=False),
    "fast": AttackScale(noise=1, step_size=1.25, projected=True, single=True),
    "n_fgsm": AttackScale(noise=2, step_size=1, projected=False, single=True),
}
METHODS = (*SCALES, "trades")


class AdversarialTrainer(KeepsWeights):
    """Trains `model` on adversarial images instead of the clean ones.

    `model` is trained in place. Compile the trainer with an optimizer only, `fit` it on batches of
    (images, labels), call `finish()`, then save and evaluate `trainer.model`. Robustness overfits
    (Rice et al., 2020): give validation images and the callback `RobustEarlyStopping`, so that the
    best epoch is kept, not the last.

    Args:
        model: (batch, h, w, c) in [0, 1] -> (batch, classes). Of one that ends in a softmax or a
            sigmoid the logits before it are trained, see `logits_of`.
        method: "pgd" is Madry et al. (2018): `steps` signed steps from a uniform start. "trades"
            is Zhang et al. (2019): clean cross-entropy + `trades_beta` KL(clean || adversarial).
            "fast" is Wong et al. (2020): one step of 1.25 `epsilon` from a uniform start; it costs
            a fraction and can collapse in the middle of training (catastrophic overfitting).
            "n_fgsm" is de Jorge et al. (2022): one step of `epsilon` from a uniform start twice as
            wide, not projected into the ball, which prevents that at no cost.
        epsilon: radius of the L-infinity ball in pixel units of [0, 1], e.g. 8 / 255.
        steps: of "pgd" and "trades"; the others take one.
        step_size: length of a step, in pixel units of [0, 1]. By default a quarter of `epsilon`
            for "pgd" and "trades" (Madry et al.'s 2/255 at 8/255), else as said above.
        trades_beta: of "trades".
        average: decay a step of an exponential moving average of all weights and moving
            statistics, which is then what validation, `evaluate` and `finish` use; 0 for none.
        weight_decay: rate of the coupled L2 term added to the loss, see `losses.l2_penalty`;
            the model's own regularizers are added too.
        seed: of the random starts.

    The attack sees the model in inference mode, so it does not move the batch normalisation's
    statistics. `fit` reports `loss` (without regularizers) and `accuracy`, both on the adversarial
    images; `evaluate` and validation report both on the clean images, and as `robust_accuracy` the
    accuracy under 10 steps of PGD of `epsilon` / 4 that start at the image.

    Raises:
        UserError: unknown `method`, `steps` below 1, `epsilon` not in (0, 1], or `average` not in
            [0, 1).
    """

    def __init__(
        self,
        model: keras.Model,
        *,
        method: str = "pgd",
        epsilon: float,
        steps: int = 7,
        step_size: float | None = None,
        trades_beta: float = 6.0,
        average: float = 0.0,
        weight_decay: float = 5e-4,
        seed: int = 0,
        name: str = "adversarial_trainer",
    ) -> None:
        super().__init__(model, ("loss", "accuracy", ROBUST_ACCURACY), name)
        check_name("adversarial training method", method, METHODS)
        if steps < 1:
            raise UserError(f"adversarial training takes {steps} steps; expected at least 1.")
        self.model = model
        self.method = method
        self.epsilon = check_epsilon(epsilon)
        self.scale = SCALES.get(method)
        self.steps = 1 if self.scale and self.scale.single else steps
        default_step = self.scale.step_size if self.scale else 1 / 4
        # one of length 1 reaches every pixel
        self.step_size = min(1.0, default_step * epsilon) if step_size is None else step_size
        self.trades = Trades(trades_beta, epsilon, self.step_size, steps)
        self.weight_decay = weight_decay
        self.noise = keras.random.SeedGenerator(seed)
        self.keep_copies(average, robust_at=epsilon)

    def attack(self, images: Tensor, labels: Tensor) -> Tensor:
        """Return the batch's adversarial images, (batch, h, w, c), for its labels, (batch,)."""
        if self.scale is None:
            return self.trades.adversarial(self.inference, images, self.noise)
        reach = self.scale.noise * self.epsilon
        noise = draw_for_images(
            lambda shape: keras.random.uniform(
                shape, -reach, reach, dtype=images.dtype, seed=self.noise
            ),
            images,
        )
        return ascend(
            lambda x: log_odds(labels, self.inference(x)),
            images + noise,
            images,
            # noise and step together reach no farther than the second
            epsilon=self.epsilon if self.scale.projected else reach + self.step_size,
            step_size=self.step_size,
            steps=self.steps,
        )

    def train_step(self, data: Any) -> dict[str, Tensor]:
        images, labels = unpack_batch(data, self.classes)
        adversarial = self.attack(images, labels)
        parts = descend(
            lambda: self.robust_loss(images, adversarial, labels),
            self.weight_variables,
            self.optimizer,
            labels,
        )
        self.share_statistics()
        self.average_weights()
        return self.record(parts, labels)

    def robust_loss(
        self, images: Tensor, adversarial: Tensor, labels: Tensor
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """Return what a step goes down, a scalar, and what it reports, by name.

        Args:
            images, adversarial: (batch, h, w, c).
            labels: (batch,).
        """
        logits = self.classifier(adversarial, training=True)
        if self.method == "trades":
            clean = self.classifier(images, training=True)
            losses = trades_loss(labels, clean, logits, self.trades.beta)
        else:
            losses = cross_entropy(labels, logits)
        loss = tf.reduce_mean(losses)
        parts = {"loss": loss, "accuracy": accuracy(labels, logits)}
        return loss + self.penalties(self.weight_decay), parts
