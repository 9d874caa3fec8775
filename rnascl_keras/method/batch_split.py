"""How a batch of the search is split between the weights and the Gumbel variables (A.1)."""

from __future__ import annotations

from typing import Any

import numpy as np
import tensorflow as tf

from rnascl_keras.errors import UserError
from rnascl_keras.method.batches import BATCH_OF_ONE, FAULT

Tensor = Any


def check_fraction(architecture_fraction: float) -> None:
    """Raise UserError unless the Gumbel variables' part of a batch lies between 0 and 1."""
    if not 0 < architecture_fraction < 1:
        raise UserError(
            f"architecture_fraction must lie between 0 and 1; got {architecture_fraction}."
        )


def weight_images(images: Tensor, architecture_fraction: float) -> Tensor | int:
    """Return how many images of a batch update the weights; the others update the choices.

    Each gets at least one. The part is rounded in float32 whether the batch's size is known before
    or not, so that both give the same number.

    Args:
        images: (batch, h, w, c).
        architecture_fraction: part of the batch that updates the Gumbel variables.

    Raises:
        UserError: the batch is of one image; where that is not known before, `fit` has looked.
    """
    size = images.shape[0]
    if size is not None:
        if size < 2:
            raise UserError(f"{FAULT}{BATCH_OF_ONE}.")
        part = np.round(np.float32(1 - architecture_fraction) * np.float32(size))
        return int(np.clip(part, 1, size - 1))
    size = tf.shape(images)[0]
    part = tf.cast(tf.round((1 - architecture_fraction) * tf.cast(size, tf.float32)), size.dtype)
    return tf.clip_by_value(part, 1, size - 1)
