"""Eq. 1 as one batched operation, over a double loop of one operation per pair of layers.

Command: python -m benchmarks.tutor_loss
Both sides are compiled, forward and backward, on 28 student layers, 36 teacher layers, 8 x 8 maps
and a batch of 128. Wanted: the loop takes at least 10 times as long.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import tensorflow as tf

from benchmarks.timing import compare
from rnascl_keras.method.attention import attention_loss, guarded_sqrt

STUDENT_LAYERS, TEACHER_LAYERS, PIXELS, BATCH = 28, 36, 64, 128


def double_loop(student: tf.Tensor, teacher: tf.Tensor, tutors: tf.Tensor) -> tf.Tensor:
    """Eq. 1 as it is printed: one distance at a time."""
    total: Any = 0.0
    for i in range(STUDENT_LAYERS):
        for j in range(TEACHER_LAYERS):
            squares = tf.reduce_sum(tf.square(student[:, i] - teacher[:, j]), axis=-1)
            total += tutors[i, j] * tf.reduce_mean(guarded_sqrt(squares))
    return total / (STUDENT_LAYERS * TEACHER_LAYERS)


def main() -> None:
    rng = np.random.default_rng(0)
    student, teacher = (
        tf.constant(unit(rng.uniform(size=(BATCH, layers, PIXELS))), tf.float32)
        for layers in (STUDENT_LAYERS, TEACHER_LAYERS)
    )
    tutors = tf.nn.softmax(rng.normal(size=(STUDENT_LAYERS, TEACHER_LAYERS)).astype(np.float32))

    @tf.function
    def forward_and_backward(loss: Callable[..., tf.Tensor]) -> tuple:
        with tf.GradientTape() as tape:
            tape.watch([student, tutors])
            value = loss(student, teacher, tutors)
        return value, tape.gradient(value, [student, tutors])

    ours, loop = forward_and_backward(attention_loss), forward_and_backward(double_loop)
    for one, other in zip(tf.nest.flatten(ours), tf.nest.flatten(loop), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-3, atol=1e-8)
    compare(
        "tutor loss, double loop over ours",
        lambda: forward_and_backward(double_loop)[0].numpy(),
        lambda: forward_and_backward(attention_loss)[0].numpy(),
    )


def unit(maps: np.ndarray) -> np.ndarray:
    return maps / np.linalg.norm(maps, axis=-1, keepdims=True)


if __name__ == "__main__":
    main()
