"""Which weights of a layer stay: the largest of each, by magnitude or by a score."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from rnascl_keras.errors import UserError
from rnascl_keras.models.altered import check_plain

Tensor = Any


def kernels(model: keras.Model) -> list[Any]:
    """Return what can be pruned: the kernels of all convolutions and dense layers, first and last
    included; never biases or normalisations.

    Raises:
        UserError: there is none, or layers compute by others than their kernels.
    """
    check_plain(model, f"model {model.name}", "pruned")
    found = [v for v in model.trainable_variables if v.name.endswith("kernel")]
    if not found:
        raise UserError(f"model {model.name} has no kernel that trains; nothing can be pruned.")
    return found


def kept_count(size: int, keep: float) -> int:
    """Return how many of `size` weights stay: n - int((1 - keep) n) as in Hydra, at least one."""
    return max(1, size - int((1 - keep) * size))


def largest(values: Tensor, keep: float) -> Tensor:
    """Return the mask of the largest values of one layer by magnitude, float of the same shape.

    Exactly `kept_count` of them are 1, the first of equal ones.

    Args:
        values: of any shape.
        keep: share that stays, in (0, 1].
    """
    size = int(np.prod(values.shape))
    magnitudes = tf.reshape(tf.abs(tf.cast(values, tf.float32)), [size])
    _, places = tf.math.top_k(magnitudes, kept_count(size, keep), sorted=False)
    mask = tf.scatter_nd(places[:, None], tf.ones_like(places, tf.float32), [size])
    return tf.reshape(mask, values.shape)


def magnitude_masks(model: keras.Model, keep: float) -> list[Tensor]:
    """Return the mask of the largest weights of each kernel; of pruned ones, what was kept."""
    return [largest(kernel, keep) for kernel in kernels(model)]


def zero(variables: Sequence[Any], masks: Sequence[Tensor]) -> None:
    """Write zeros into the variables where their masks are 0."""
    for variable, mask in zip(variables, masks, strict=True):
        variable.assign(variable * tf.cast(mask, variable.dtype))


@contextmanager
def held_at_zero(variables: Sequence[Any], masks: Sequence[Tensor]) -> Iterator[None]:
    """Let no optimizer move what is pruned: it is put back to zero in every update.

    The masks are constraints of the variables, not of the layers, so nothing of them is saved.
    """
    before = [variable.constraint for variable in variables]
    for variable, mask in zip(variables, masks, strict=True):
        variable.constraint = _Mask(mask)
    try:
        yield
    finally:
        for variable, constraint in zip(variables, before, strict=True):
            variable.constraint = constraint


class _Mask(keras.constraints.Constraint):
    """Multiplies by a mask of zeros and ones."""

    def __init__(self, mask: Tensor) -> None:
        self.mask = mask

    def __call__(self, w: Tensor) -> Tensor:
        return w * tf.cast(self.mask, w.dtype)


def kept_weights(model: keras.Model) -> tuple[int, int]:
    """Return how many weights of the kernels are not zero, and how many there are."""
    values = [np.asarray(kernel) for kernel in kernels(model)]
    kept = sum(int(np.count_nonzero(value)) for value in values)
    return kept, sum(value.size for value in values)
