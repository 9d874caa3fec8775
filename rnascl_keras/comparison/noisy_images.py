"""Distillation where the student sees noise that its teacher does not."""

from __future__ import annotations

from typing import Any

import keras
import tensorflow as tf

from rnascl_keras.distribution.replicas import draw_for_images
from rnascl_keras.method.distill import CrossLayerDistiller

Tensor = Any


class NoisyImages(CrossLayerDistiller):
    """Shows the student every image with Gaussian noise, and what the teacher says without.

    Args:
        deviation: of the noise, in pixel units of [0, 1]; the sum is clipped to them.
        others: as of `CrossLayerDistiller`.
    """

    def __init__(self, *args: Any, deviation: float, **others: Any) -> None:
        super().__init__(*args, **others)
        self.deviation = deviation

    def noisy(self, images: Tensor) -> Tensor:
        """Return the images, (batch, h, w, c), with noise of their own."""
        noise = draw_for_images(lambda shape: keras.random.normal(shape, seed=self.noise), images)
        return tf.clip_by_value(images + self.deviation * tf.cast(noise, images.dtype), 0, 1)

    def _student_pass(self, images: Tensor) -> tuple[Tensor, list[Tensor]]:
        return super()._student_pass(self.noisy(images))
