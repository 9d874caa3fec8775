"""TRADES' inner maximisation (Zhang et al., 2019), for students and for teachers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import keras
import tensorflow as tf

from rnascl_keras.attacks.base import ascend
from rnascl_keras.distribution.replicas import draw_for_images
from rnascl_keras.method.losses import kl_divergence

Tensor = Any


@dataclass(frozen=True)
class Trades:
    """TRADES' settings, as in its published script.

    Args:
        beta: weight of KL(clean || adversarial).
        epsilon: radius of the L-infinity ball in pixel units of [0, 1].
        step_size: of the inner maximisation, in the same units.
        steps: of the inner maximisation.
        start_deviation: the start is the image plus this times N(0, 1).
    """

    beta: float = 6.0
    epsilon: float = 0.031
    step_size: float = 0.007
    steps: int = 10
    start_deviation: float = 0.001

    def adversarial(
        self, model: keras.Model, images: Tensor, noise: keras.random.SeedGenerator
    ) -> Tensor:
        """Return images of the ball, (batch, h, w, c), that maximise KL(clean || adversarial).

        The model is in inference mode, as in the published script.
        """
        clean = tf.stop_gradient(model(images, training=False))
        start = draw_for_images(lambda shape: keras.random.normal(shape, seed=noise), images)
        return ascend(
            lambda x: kl_divergence(clean, model(x, training=False)),
            images + self.start_deviation * tf.cast(start, images.dtype),
            images,
            epsilon=self.epsilon,
            step_size=self.step_size,
            steps=self.steps,
        )
