"""How each image's cross-entropy changes with its pixels, inside a training step."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
import tensorflow as tf

from rnascl_keras.attacks.ascent import SCALE
from rnascl_keras.method import losses

Tensor = Any


def with_input_gradients(
    forward: Callable[[Tensor], Any], images: Tensor, labels: Tensor
) -> tuple[Any, Tensor]:
    """Return what `forward` gives, and how each image's cross-entropy changes with its pixels.

    Under a tape that watches weights, the gradients can be differentiated once more. In training
    mode that second derivative is exact but for batch normalisations that `fuse_batch_norm` leaves
    as they are: their moments stop the gradient at the mean, which is right once and leaves a small
    term out of the second.

    Args:
        forward: images -> (logits (batch, classes), anything else).
        images: (batch, h, w, c).
        labels: (batch,).

    Returns:
        `forward`'s answer, and (batch, h, w, c) of Keras' float type. Where batch normalisation
        mixes the images of a batch, the gradient is that of all their cross-entropies together.
    """
    with tf.GradientTape(watch_accessed_variables=False) as tape:
        tape.watch(images)
        answer = forward(images)
        total = SCALE * tf.reduce_sum(losses.cross_entropy(labels, answer[0]))
    return answer, tf.cast(tape.gradient(total, images), keras.config.floatx()) / SCALE
