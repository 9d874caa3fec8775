"""The nearest point of a hyperplane that is an image: FAB's step (Croce and Hein, 2020)."""

from __future__ import annotations

import numpy as np

from rnascl_keras.attacks.norms import L2, Linf

ITERATIONS = 100


def towards_hyperplane(
    points: np.ndarray, normal: np.ndarray, distance: np.ndarray, norm: type[Linf] | type[L2]
) -> np.ndarray:
    """Return the shortest change, (b, h, w, c), within [0, 1], that brings each point onto its
    hyperplane: sum(normal * change) = distance. Where no image lies on it, the change that comes
    nearest.

    Each pixel goes the way that helps, by min(t * weight, room to 0 or 1). The gain is a concave,
    increasing, piecewise linear function of t, so Newton's method from t = 0 approaches the root
    from below and is exact once it has passed the last kink before it: no sorting needed.

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
    weight = norm.dual_weight(normal)
    gain_free = np.abs(normal) * weight
    gain_fixed = np.abs(normal) * room
    needed = np.abs(distance)

    t = np.zeros((len(points), 1), points.dtype)
    for _ in range(ITERATIONS):
        free = (t * weight < room).astype(points.dtype)
        slope = np.einsum("bp,bp->b", free, gain_free)
        fixed = np.einsum("bp,bp->b", 1 - free, gain_fixed)
        root = np.divide(needed - fixed, slope, out=np.zeros_like(slope), where=slope > 0)
        # Where nothing is free any more, all pixels are at their ends.
        following = np.where(slope > 0, root, t[:, 0])[:, None]
        if np.all(following <= t):
            break
        t = np.maximum(t, following)
    return (way * np.minimum(t * weight, room)).reshape(shape)
