"""The nearest point of a hyperplane that is an image: FAB's step (Croce and Hein, 2020)."""

from __future__ import annotations

import numpy as np

from rnascl_keras.attacks.norms import L1, Norm

ITERATIONS = 100


def towards_hyperplane(
    points: np.ndarray, normal: np.ndarray, distance: np.ndarray, norm: type[Norm]
) -> np.ndarray:
    """Return the shortest change, (b, h, w, c), within [0, 1], that brings each point onto its
    hyperplane: sum(normal * change) = distance. Where no image lies on it, the change that comes
    nearest.

    Each pixel goes the way that helps, as far as the norm has it, but no further than 0 or 1.

    Args:
        points: (b, h, w, c), pixels in [0, 1].
        normal: (b, h, w, c).
        distance: (b,).
        norm: in which the change is the shortest.
    """
    shape = points.shape
    points, normal = points.reshape(len(points), -1), normal.reshape(len(points), -1)
    way = np.sign(normal) * np.sign(distance)[:, None]
    room = np.where(way > 0, 1 - points, points) * (way != 0)  # none where nothing is gained
    move = _largest_first if norm is L1 else _all_at_once
    return (way * move(normal, room, np.abs(distance), norm)).reshape(shape)


def _all_at_once(
    normal: np.ndarray, room: np.ndarray, needed: np.ndarray, norm: type[Norm]
) -> np.ndarray:
    """Return how far each pixel goes, (b, pixels): min(t * weight, room).

    The gain is a concave, increasing, piecewise linear function of t, so Newton's method from t = 0
    approaches the root from below and is exact once it has passed the last kink before it: no
    sorting needed.
    """
    weight = norm.dual_weight(normal)
    gain_free = np.abs(normal) * weight
    gain_fixed = np.abs(normal) * room

    t = np.zeros((len(normal), 1), normal.dtype)
    for _ in range(ITERATIONS):
        free = (t * weight < room).astype(normal.dtype)
        slope = np.einsum("bp,bp->b", free, gain_free)
        fixed = np.einsum("bp,bp->b", 1 - free, gain_fixed)
        root = np.divide(needed - fixed, slope, out=np.zeros_like(slope), where=slope > 0)
        # Where nothing is free any more, all pixels are at their ends.
        following = np.where(slope > 0, root, t[:, 0])[:, None]
        if np.all(following <= t):
            break
        t = np.maximum(t, following)
    return np.minimum(t * weight, room)


def _largest_first(
    normal: np.ndarray, room: np.ndarray, needed: np.ndarray, norm: type[Norm]
) -> np.ndarray:
    """Return the same for L1, where the pixel of the largest gain goes all its way before the next
    moves."""
    gain = np.abs(normal)
    order = np.argsort(-gain, axis=1)
    gain, room = (np.take_along_axis(array, order, axis=1) for array in (gain, room))
    before = np.cumsum(gain * room, axis=1, dtype=np.float64) - gain * room
    rest = np.maximum(needed[:, None] - before, 0)
    gone = np.minimum(np.divide(rest, gain, out=np.zeros_like(rest), where=gain > 0), room)
    moves = np.empty_like(room)
    np.put_along_axis(moves, order, gone.astype(room.dtype), axis=1)
    return moves
