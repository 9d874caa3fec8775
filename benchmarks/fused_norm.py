"""A training step of S3's widest student with fused batch normalisation, over one with Keras' own.

Command: python -m benchmarks.fused_norm
Both sides are compiled, forward and backward in training mode, 128 images of 32 x 32 a step.
Wanted: at most 0.7.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from benchmarks.timing import compare
from rnascl_keras.models.fused_batch_norm import fuse_batch_norm
from rnascl_keras.teachers import build_teacher

BATCH, SHAPE = 128, (32, 32, 3)


def step_of(model: keras.Model, images: tf.Tensor) -> Callable[[], object]:
    @tf.function
    def step() -> Any:
        with tf.GradientTape() as tape:
            loss = tf.reduce_mean(model(images, training=True) ** 2)
        return tape.gradient(loss, [w.value for w in model.trainable_variables])

    return lambda: step()[0].numpy()


def main() -> None:
    images = tf.constant(np.random.default_rng(0).uniform(size=(BATCH, *SHAPE)), tf.float32)
    own, fused = (build_teacher("student_s3", input_shape=SHAPE, classes=10) for _ in range(2))
    fuse_batch_norm(fused)
    compare("a training step, fused over Keras' own", step_of(fused, images), step_of(own, images))


if __name__ == "__main__":
    main()
