"""Where Square's squares lie, and what they hold for L2 (Andriushchenko et al., 2020) and L1
(Croce and Hein, 2021, appendix)."""

from __future__ import annotations

import numpy as np

from rnascl_keras.attacks.norms import L2, TINY, Norm
from rnascl_keras.attacks.state import choose

Window = tuple[np.ndarray, np.ndarray, np.ndarray]
STEEPNESS = {"L2": 2, "L1": 4}
"""Of the hills, by norm."""


def signs(uniform: np.ndarray) -> np.ndarray:
    """Return -1 or 1, as likely, from numbers of U(0, 1)."""
    return np.where(uniform < 0.5, -1.0, 1.0)


def window(uniform: np.ndarray, side: int, h: int, w: int) -> Window:
    """Return the index of one random square in each image, from (b, 2) numbers of U(0, 1)."""
    top, left = (uniform * (h - side + 1, w - side + 1)).astype(int).T
    along = np.arange(side)
    image = np.arange(len(uniform))[:, None, None]
    return image, top[:, None, None] + along[:, None], left[:, None, None] + along


def tiled_bumps(
    generators: np.ndarray, shape: tuple[int, ...], side: int, norm: type[Norm] = L2
) -> np.ndarray:
    """Return bumps side by side, each of random sign and one of two ways: of each of the
    generators, (b,), an image of `shape`, (h, w, c)."""
    h, w, c = shape
    b = len(generators)
    change = np.zeros((b, h, w, c))
    upright = np.broadcast_to(bump(side, norm)[None, :, :, None], (b, side, side, 1))
    for top in range(h % side // 2, h - side + 1, side):
        for left in range(w % side // 2, w - side + 1, side):
            drawn = np.stack([generator.random(c + 1) for generator in generators])
            tile = choose(drawn[:, 0] < 0.5, upright, upright.transpose(0, 2, 1, 3))
            tile = signs(drawn[:, 1:])[:, None, None] * tile
            change[:, top : top + side, left : left + side] = tile
    return change


def bump(side: int, norm: type[Norm] = L2) -> np.ndarray:
    """Return (side, side) of length 1: a hill over one half, a hollow over the other (eq. 2)."""
    upper = side // 2
    halves = np.concatenate([_hill(upper, side, norm), -_hill(side - upper, side, norm)])
    return halves / channel_length(halves[None, :, :, None], norm)[0, :, :, 0]


def channel_length(change: np.ndarray, norm: type[Norm]) -> np.ndarray:
    """Return the norm of each channel by itself, (b, h, w, c) -> (b, 1, 1, c)."""
    if norm is L2:
        return np.sqrt(np.square(change).sum(axis=(1, 2), keepdims=True))
    return np.abs(change).sum(axis=(1, 2), keepdims=True)


def _hill(height: int, width: int, norm: type[Norm]) -> np.ndarray:
    """Return a pyramid whose value at distance d from the middle is the sum of 1 / (r + 1)^2 (L1:
    to the fourth) over r >= d, of length 1."""
    down, right = np.arange(height) - height // 2, np.arange(width) - width // 2
    distance = np.maximum(np.abs(down)[:, None], np.abs(right))
    reach = max(height // 2, width // 2) + 1
    tails = np.cumsum(1 / np.arange(reach, 0, -1.0) ** STEEPNESS[norm.name])[::-1]
    hill = tails[distance]
    return hill / np.maximum(channel_length(hill[None, :, :, None], norm)[0, :, :, 0], TINY)
