"""What the batches of a training have to be: images in [0, 1] and the numbers of their classes."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import keras
import tensorflow as tf

from rnascl_keras.errors import UserError

Tensor = Any

FAULT = "the data do not fit: "
BATCH_OF_ONE = (
    "a batch of 1 cannot be split between weights and Gumbel variables; give batches of at least "
    "2 images (5 for a split of 80 to 20 %), and drop a last batch of 1"
)
EMPTY_REPLICA = (
    "a batch has fewer images than there are replicas, so one would train on none; give larger "
    "batches, and drop a short last one"
)
TOO_SMALL = {0: "", 1: EMPTY_REPLICA, 2: BATCH_OF_ONE}
"""What is wrong with a batch that has fewer images than this."""


def unpack_batch(data: Any, classes: int) -> tuple[Tensor, Tensor]:
    """Return images and class indices of what `fit` hands to a step: (batch, h, w, c), as they
    are, and int64 (batch,), whatever integers they were.

    The images may come in a dict with what a teacher says on them, see `TeacherCache`.

    Args:
        data: (images, labels); labels (batch,) or (batch, 1).
        classes: that there are.

    Raises:
        UserError: sample weights are given, labels are not class indices, or pixels no floats.
    """
    inputs, labels, sample_weight = keras.utils.unpack_x_y_sample_weight(data)
    if labels is None or sample_weight is not None:
        raise UserError(
            "the data must give (images, labels) pairs, without sample weights or class_weight."
        )
    labels = tf.convert_to_tensor(labels)
    if labels.shape.rank == 2 and labels.shape[1] == 1:
        labels = labels[:, 0]
    if labels.shape.rank != 1 or not labels.dtype.is_integer:
        raise UserError(
            f"labels must be integer class indices of shape (batch,), 0 to {classes - 1}; got "
            f"{labels.dtype.name} of shape {labels.shape}; turn one-hot labels with np.argmax."
        )
    if isinstance(inputs, dict) and "images" not in inputs:
        raise UserError(f"a batch that is a dict must hold 'images'; got {', '.join(inputs)}.")
    images = tf.convert_to_tensor(inputs["images"] if isinstance(inputs, dict) else inputs)
    if not images.dtype.is_floating:
        raise UserError(
            f"images are {images.dtype.name}; expected floats in [0, 1]: divide 0 to 255 by 255."
        )
    # TensorFlow's argmax gives no other integers; uint64 beyond int64 becomes negative
    return images, tf.cast(labels, tf.int64)


def check_batch(data: Any, classes: int, smallest: int) -> list[Any]:
    """Return assertions that hold of a batch that can be trained on; `fit` raises UserError.

    A label out of range would have a cross-entropy of 0, and an attack on 0 to 255 be nothing.
    To be asked for outside of what XLA compiles, which drops them.

    Args:
        data, classes: as of `unpack_batch`, which raises likewise.
        smallest: images that there have to be: 0, 1 or 2.
    """
    images, labels = unpack_batch(data, classes)
    finite = tf.reduce_all(tf.math.is_finite(images))
    in_range = (tf.reduce_min(images) >= 0) & (tf.reduce_max(images) <= 1)
    known = (tf.reduce_min(labels) >= 0) & (tf.reduce_max(labels) < classes)
    return [
        _assertion(tf.shape(labels)[0] >= smallest, TOO_SMALL[smallest]),
        _assertion(finite, "pixels must be numbers, and some are NaN or infinite"),
        _assertion(in_range, "pixels must lie between 0 and 1, so divide 0 to 255 by 255"),
        _assertion(known, f"labels must be 0 to {classes - 1}"),
    ]


def _assertion(condition: Tensor, fault: str) -> Any:
    return tf.debugging.Assert(condition, [f"{FAULT}{fault}."])


@contextmanager
def told_plainly() -> Iterator[None]:
    """Turn the failure of an assertion of `check_batch` into a UserError of one line."""
    try:
        yield
    except tf.errors.InvalidArgumentError as error:
        fault = re.search(re.escape(FAULT) + r"[^.]*\.", str(error))
        if fault is None:
            raise
        raise UserError(fault[0]) from error
