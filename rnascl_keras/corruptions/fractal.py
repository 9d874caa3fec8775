"""Clouds: a field that is rough at every size."""

from __future__ import annotations

import numpy as np
from numpy.random import Generator


def clouds(height: int, width: int, fading: float, random: Generator) -> np.ndarray:
    """Return a field in [0, 1], (height, width), by the diamond-square algorithm on a torus.

    Args:
        height, width: cut out of a square whose side is the next power of two.
        fading: from one size to its half, noise becomes weaker by the square of this, as the
            published fog's does.
        random: where the noise is from.
    """
    octaves = max(1, int(max(height, width) - 1).bit_length())
    field = np.zeros((1, 1))
    for octave in range(octaves):
        field = _finer(field, fading ** (-2 * octave), random)
    field -= field.min()
    return (field / field.max())[:height, :width]


def _finer(corners: np.ndarray, noise: float, random: Generator) -> np.ndarray:
    """Return a field of twice the side: new points are the mean of their four neighbours, the
    middles of squares first, and noise."""
    side = len(corners)

    def wobble(sums: np.ndarray) -> np.ndarray:
        return sums / 4 + noise * random.uniform(-1, 1, sums.shape)

    field = np.empty((2 * side, 2 * side))
    right, below = np.roll(corners, -1, axis=1), np.roll(corners, -1, axis=0)
    middles = wobble(corners + right + below + np.roll(right, -1, axis=0))
    field[::2, ::2], field[1::2, 1::2] = corners, middles
    field[::2, 1::2] = wobble(corners + right + middles + np.roll(middles, 1, axis=0))
    field[1::2, ::2] = wobble(corners + below + middles + np.roll(middles, 1, axis=1))
    return field
