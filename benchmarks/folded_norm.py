"""TRADES' attack and its whole step with batch normalisations folded, over them as they are.

Command: python -m benchmarks.folded_norm
S3's widest student, 128 random images of 32 x 32, ten steps; all compiled. Wanted: at most 0.85.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from benchmarks.timing import compare
from rnascl_keras import Trades
from rnascl_keras.method.losses import trades_loss
from rnascl_keras.models.folded_norm import folded_inference
from rnascl_keras.models.fused_batch_norm import fuse_batch_norm
from rnascl_keras.teachers import build_teacher

BATCH, SHAPE, CLASSES = 128, (32, 32, 3), 10


def main() -> None:
    student = build_teacher("student_s3", input_shape=SHAPE, classes=CLASSES)
    fuse_batch_norm(student)
    rng = np.random.default_rng(0)
    images = tf.constant(rng.uniform(size=(BATCH, *SHAPE)), tf.float32)
    labels = tf.constant(rng.integers(0, CLASSES, BATCH))
    folded, own = folded_inference(student), partial(student, training=False)
    compare("TRADES' attack, folded over not", *(attack_of(x, images) for x in (folded, own)))
    steps = (step_of(student, x, images, labels) for x in (folded, own))
    compare("TRADES' step, folded over not", *steps)


def attack_of(inference: Any, images: tf.Tensor) -> Callable[[], object]:
    noise = keras.random.SeedGenerator(0)
    attack = tf.function(lambda: Trades().adversarial(inference, images, noise))
    return lambda: attack().numpy()


def step_of(
    student: keras.Model, inference: Any, images: tf.Tensor, labels: tf.Tensor
) -> Callable[[], object]:
    noise = keras.random.SeedGenerator(0)

    @tf.function
    def step() -> Any:
        adversarial = Trades().adversarial(inference, images, noise)
        with tf.GradientTape() as tape:
            clean, attacked = (student(x, training=True) for x in (images, adversarial))
            loss = tf.reduce_mean(trades_loss(labels, clean, attacked, 6.0))
        return tape.gradient(loss, [w.value for w in student.trainable_variables])

    return lambda: step()[0].numpy()


if __name__ == "__main__":
    main()
