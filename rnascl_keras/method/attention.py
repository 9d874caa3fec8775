"""Attention maps, their common size, and eq. 1."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache
from typing import Any

import numpy as np
from keras import ops
from keras.config import floatx

from rnascl_keras.errors import UserError
from rnascl_keras.models.image_input import whole_sizes

Tensor = Any


def attention_map(activation: Tensor) -> Tensor:
    """Return F(A), the sum over channels of the squared activation (section 3.1).

    Args:
        activation: shape (batch, height, width, channels), any float type.

    Returns:
        float32, shape (batch, height, width).
    """
    # Squares overflow float16 at 256, so the cast comes first.
    return _sum_of_squares(ops.cast(activation, floatx()))


@ops.custom_gradient
def _sum_of_squares(x: Tensor) -> tuple[Tensor, Callable[[Tensor], Tensor]]:
    """Sum over channels; its gradient takes one pass over the map where the chain rule takes three.

    It is made of operations that can be differentiated again.
    """

    def backward(upstream: Tensor) -> Tensor:
        return ops.expand_dims(2.0 * upstream, -1) * x

    return ops.sum(ops.square(x), axis=-1), backward  # (batch, h, w, c) -> (batch, h, w)


@cache
def resize_matrix(size: int, target: int) -> np.ndarray:
    """Return the constant matrix that resizes one axis, shape (target, size), float32.

    Downwards each target cell is the average of the source cells it covers, weighted by the part
    covered; upwards it is bilinear between the centres of cells. Rows sum to one.
    """
    if target >= size:
        centres = np.clip((np.arange(target) + 0.5) * size / target - 0.5, 0, size - 1)
        return np.maximum(0, 1 - np.abs(centres[:, None] - np.arange(size))).astype("float32")
    edges = np.arange(target + 1) * size / target
    upper = np.minimum(edges[1:, None], np.arange(1, size + 1))
    lower = np.maximum(edges[:-1, None], np.arange(size))
    return (np.maximum(0, upper - lower) * target / size).astype("float32")


def resize_map(maps: Tensor, target: Sequence[int]) -> Tensor:
    """Resize maps (batch, height, width) to (batch, *target).

    Along each axis resizing is linear: two small products with constant matrices, which XLA
    compiles and which are fast on a CPU.
    """
    height, width = maps.shape[1:]
    rows = ops.convert_to_tensor(resize_matrix(height, target[0]), floatx())
    columns = ops.convert_to_tensor(resize_matrix(width, target[1]), floatx())
    if height != target[0]:
        maps = ops.matmul(rows, maps)  # (batch, h, w) -> (batch, h', w)
    if width != target[1]:
        maps = ops.matmul(maps, ops.transpose(columns))  # (batch, h', w) -> (batch, h', w')
    return maps


def default_map_size(image_size: Sequence[int]) -> tuple[int, int]:
    """Return the common size of all maps: 8 x 8 for 32-pixel images, 7 x 7 for 224.

    7 where the image's side is a multiple of 7, otherwise 8; 4 for images of at most 8 pixels.
    """
    height, width = (4 if n <= 8 else 7 if n % 7 == 0 else 8 for n in image_size[:2])
    return height, width


def common_size(map_size: Sequence[int] | None, image_size: Sequence[int]) -> tuple[int, int]:
    """Return the common size of all maps as it was given, by default `default_map_size`'s.

    Raises:
        UserError: it is not two whole numbers of at least 1.
    """
    if map_size is None:
        return default_map_size(image_size)
    sizes = whole_sizes(map_size, 2)
    if sizes is None:
        raise UserError(
            f"map_size is {map_size}; expected the common height and width of attention maps, "
            "e.g. (8, 8)."
        )
    height, width = sizes
    return height, width


def normalize(vectors: Tensor) -> Tensor:
    """Divide vectors along the last axis by their L2 norm; vectors of zeros stay zero.

    The division by the largest entry comes first, as a constant: the result does not depend on
    the vector's scale, so the gradient stays exact, and maps of tiny activations do not underflow.
    """
    largest: Tensor = ops.stop_gradient(ops.max(ops.abs(vectors), axis=-1, keepdims=True))
    alive = largest > 0
    scaled = vectors / ops.where(alive, largest, 1.0)
    squares = ops.sum(ops.square(scaled), axis=-1, keepdims=True)
    return ops.where(alive, scaled * ops.rsqrt(ops.where(alive, squares, 1.0)), 0.0)


def unit_maps(activations: Sequence[Tensor], map_size: Sequence[int]) -> Tensor:
    """Return F(A) / ||F(A)|| of every activation at the common size.

    Args:
        activations: n tensors of shape (batch, height_i, width_i, channels_i).
        map_size: common (height, width).

    Returns:
        float32, shape (batch, n, height * width), each row of norm 1, or 0 for a map of zeros.
    """
    maps = [resize_map(attention_map(a), map_size) for a in activations]
    stacked = ops.stack(maps, axis=1)  # n x (batch, h, w) -> (batch, n, h, w)
    flat = ops.reshape(stacked, (-1, len(maps), map_size[0] * map_size[1]))
    return normalize(flat)


def pairwise_distances(student_maps: Tensor, teacher_maps: Tensor) -> Tensor:
    """Return ||s_i - t_j|| for every student and teacher map.

    The differences are taken before squaring. The expansion |s|^2 + |t|^2 - 2 s.t would be one
    batched product, but in float32 it cannot tell unit vectors apart that are nearer than about
    5e-4, which is where a student comes to follow its tutor. Equal maps get distance 0 and no
    gradient, not NaN.

    Args:
        student_maps: (batch, n_s, p).
        teacher_maps: (batch, n_t, p).

    Returns:
        float32, (batch, n_s, n_t).
    """
    students: Tensor = ops.expand_dims(student_maps, 2)
    teachers: Tensor = ops.expand_dims(teacher_maps, 1)
    # (batch, n_s, 1, p) - (batch, 1, n_t, p) -> (batch, n_s, n_t)
    return guarded_sqrt(ops.sum(ops.square(students - teachers), axis=-1))


def guarded_sqrt(squares: Tensor) -> Tensor:
    """Return the square root with gradient 0, not infinity, at 0."""
    positive = squares > 0
    return ops.where(positive, ops.sqrt(ops.where(positive, squares, 1.0)), 0.0)


def attention_loss(student_maps: Tensor, teacher_maps: Tensor, tutors: Tensor) -> Tensor:
    """Return eq. 1, averaged over the batch.

    Args:
        student_maps: unit maps of the student's layers, (batch, n_s, p).
        teacher_maps: unit maps of the teacher's layers, (batch, n_t, p).
        tutors: Gumbel weights g, (n_s, n_t); rows sum to one.

    Returns:
        scalar, float32: 1 / (n_s n_t) sum_ij g_ij ||s_i - t_j||.
    """
    distances = ops.mean(pairwise_distances(student_maps, teacher_maps), axis=0)
    n_s, n_t = tutors.shape
    weights: Tensor = ops.cast(tutors, floatx())
    total: Tensor = ops.sum(weights * distances)
    return total / (n_s * n_t)


def tutored_attention_loss(student_maps: Tensor, tutor_maps: Tensor, n_t: int) -> Tensor:
    """Return eq. 1 with one-hot tutors, averaged over the batch.

    Args:
        student_maps: unit maps, (batch, n_s, p).
        tutor_maps: the unit map of each student layer's own tutor, (batch, n_s, p).
        n_t: number of the teacher's layers, the divisor that eq. 1 keeps in the training phase.
    """
    distances = guarded_sqrt(ops.sum(ops.square(student_maps - tutor_maps), axis=-1))
    mean: Tensor = ops.mean(distances)
    return mean / n_t
