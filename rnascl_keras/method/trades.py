"""TRADES (Zhang et al., 2019): its inner maximisation, for students and teachers, and its term."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

import keras
import tensorflow as tf

from rnascl_keras.attacks.ascent import ascend, check_ascent
from rnascl_keras.method.inner_attacks import normal_start
from rnascl_keras.method.losses import kl_divergence, trades_loss
from rnascl_keras.method.need import Need
from rnascl_keras.method.step import Step
from rnascl_keras.method.terms import Term
from rnascl_keras.models.folded_norm import Inference

Tensor = Any


@dataclass(frozen=True)
class Trades:
    """TRADES' settings, as in its published script; to a `Distiller` it is an attack.

    Args:
        beta: weight of KL(clean || adversarial).
        epsilon: radius of the L-infinity ball in pixel units of [0, 1].
        step_size: of the inner maximisation, in the same units.
        steps: of the inner maximisation.
        start_deviation: the start is the image plus this times N(0, 1).

    Raises:
        UserError: one of them has no meaning, see `ascent.check_ascent`.
    """

    beta: float = 6.0
    epsilon: float = 0.031
    step_size: float = 0.007
    steps: int = 10
    start_deviation: float = 0.001

    def __post_init__(self) -> None:
        check_ascent(self.epsilon, self.step_size, self.steps)

    @property
    def needs(self) -> Collection[Need]:
        """Nothing: it asks the student alone."""
        return ()

    def adversarial(
        self,
        model: keras.Model | Inference,
        images: Tensor,
        noise: keras.random.SeedGenerator,
    ) -> Tensor:
        """Return images of the ball, (batch, h, w, c), that maximise KL(clean || adversarial).

        The model, or its `folded_inference`, is in inference mode, as in the published script.
        """
        clean = tf.stop_gradient(model(images, training=False))
        return ascend(
            lambda x: kl_divergence(clean, model(x, training=False)),
            normal_start(self.start_deviation)(images, noise),
            images,
            epsilon=self.epsilon,
            step_size=self.step_size,
            steps=self.steps,
        )

    def perturb(self, step: Step) -> Tensor:
        """Return `adversarial` images of the student, (batch, h, w, c)."""
        return self.adversarial(step.inference, step.images, step.noise)


class TradesTerm(Term):
    """CE(clean) + beta KL(clean || adversarial), in place of eq. 3's cross-entropy (section 4.1).

    Args:
        beta: see `losses.trades_loss`.
        weight: as of `Term`.
        classification_weight: of the cross-entropy alone; 0: without labels.
    """

    needs = (Need.ADVERSARIAL,)

    def __init__(
        self,
        beta: float = 6.0,
        weight: float | None = 1.0,
        *,
        classification_weight: float = 1.0,
    ) -> None:
        super().__init__("trades", weight)
        self.beta = beta
        self.classification_weight = classification_weight

    def compute(self, step: Step) -> Tensor:
        both = step.logits, step.adversarial_logits
        return tf.reduce_mean(
            trades_loss(step.labels, *both, self.beta, self.classification_weight)
        )
