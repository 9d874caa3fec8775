"""Input-gradient alignment (KDIGA): the student's loss is to rise where its teacher's does."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import tensorflow as tf

from rnascl_keras.method import losses
from rnascl_keras.method.attention import guarded_sqrt

Tensor = Any


def with_input_gradients(
    forward: Callable[[Tensor], Any], images: Tensor, labels: Tensor
) -> tuple[Any, Tensor]:
    """Return what `forward` gives, and how each image's cross-entropy changes with its pixels.

    Under a tape that watches weights, the gradients can be differentiated once more. In training
    mode that second derivative is exact but for batch normalisation: its moments stop the gradient
    at the mean, which is right once and leaves a small term out of the second.

    Args:
        forward: images -> (logits (batch, classes), anything else).
        images: (batch, h, w, c).
        labels: (batch,).

    Returns:
        `forward`'s answer, and float32 (batch, h, w, c). Where batch normalisation mixes the
        images of a batch, the gradient is that of all their cross-entropies together.
    """
    with tf.GradientTape(watch_accessed_variables=False) as tape:
        tape.watch(images)
        answer = forward(images)
        total = tf.reduce_sum(losses.cross_entropy(labels, answer[0]))
    return answer, tf.cast(tape.gradient(total, images), tf.float32)


def alignment_loss(student: Tensor, teacher: Tensor) -> Tensor:
    """Return the mean over the batch of ||student - teacher||, a scalar (Shao et al., 2021).

    The norm of each image's difference is not squared, as those of eq. 1 are not.

    Args:
        student, teacher: input gradients of the cross-entropy, float32 (batch, h, w, c).
    """
    squares = tf.reduce_sum(tf.square(student - tf.stop_gradient(teacher)), axis=(1, 2, 3))
    return tf.reduce_mean(guarded_sqrt(squares))
