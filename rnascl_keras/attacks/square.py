"""Square: random search by squares, from the logits alone (Andriushchenko et al., 2020)."""

from __future__ import annotations

import numpy as np

from rnascl_keras.attacks import losses
from rnascl_keras.attacks.base import IteratedAttack
from rnascl_keras.attacks.norms import PIXELS, TINY
from rnascl_keras.attacks.state import State, choose

HALVINGS = (10, 50, 200, 500, 1000, 2000, 4000, 6000, 8000)
"""Of 10,000 queries, those after which the squares' share of the image is halved."""

DRAWN_AT_ONCE = 64
"""Steps whose random numbers each image draws together: calls cost more than numbers."""

Window = tuple[np.ndarray, np.ndarray, np.ndarray]


class Square(IteratedAttack):
    """Changes a random square of the best image so far, and keeps what raises the margin.

    Args:
        epsilon: radius of the ball; for L-infinity in pixel units of [0, 1], e.g. 8 / 255.
        norm: "Linf" or "L2".
        queries: number of squares tried in each run.
        restarts: number of runs.
        first_share: of the image, that the first squares cover (the paper's p).
    """

    key = "square"
    loss = staticmethod(losses.margin)
    follows_gradient = False
    best_so_far = True

    def __init__(
        self,
        epsilon: float,
        *,
        norm: str = "Linf",
        queries: int = 5000,
        restarts: int = 1,
        first_share: float = 0.8,
    ):
        super().__init__(epsilon, norm=norm, steps=queries, restarts=restarts)
        self.first_share = first_share

    def start(self, state: State) -> np.ndarray:
        """L-infinity: vertical stripes of +-epsilon; L2: bumps everywhere."""
        _, h, w, c = state.images.shape
        if self.norm.name == "L2":
            change = _tiled_bumps(state, max(1, min(h, w) // 5))
            return state.images + self.epsilon * self.norm.steepest(change)
        stripes = np.stack([generator.random((1, w, c)) for generator in state.generators])
        return state.images + self.epsilon * _signs(stripes).astype(state.images.dtype)

    def advance(self, state: State, step: int) -> np.ndarray:
        _, h, w, c = state.images.shape
        if step % DRAWN_AT_ONCE == 0:
            state.drawn = np.stack([g.random((DRAWN_AT_ONCE, c + 5)) for g in state.generators])
        drawn = state.drawn[:, step % DRAWN_AT_ONCE]
        scaled = step * 10_000 // self.steps
        share = self.first_share / 2 ** sum(scaled > bound for bound in HALVINGS)
        side = round((share * h * w) ** 0.5)
        if self.norm.name == "L2":
            return self._move_mass(state, drawn, min(max(side, 3) | 1, h, w))
        points = state.best_x.copy()
        window = _window(drawn[:, :2], min(max(side, 1), h, w), h, w)
        signs = _signs(drawn[:, 5:])[:, None, None]  # (b, c) -> (b, 1, 1, c)
        points[window] += (2 * self.epsilon * signs).astype(points.dtype)
        return points

    def _move_mass(self, state: State, drawn: np.ndarray, side: int) -> np.ndarray:
        """Empty one window and put its mass, and what the radius leaves, into another as a bump
        (algorithm 3)."""
        _, h, w, c = state.images.shape
        change = state.best_x - state.images
        target, source = (_window(drawn[:, k : k + 2], side, h, w) for k in (0, 2))
        old = change[target]
        unused = np.maximum(self.epsilon**2 - np.square(change).sum(PIXELS, keepdims=True), 0)
        rest = change.copy()
        rest[target] = rest[source] = 0
        # (b, 1, 1, c): of each channel, the mass in both windows together
        mass = (np.square(change) - np.square(rest)).sum(axis=(1, 2), keepdims=True)
        bump = _signs(drawn[:, 5:])[:, None, None] * _bump(side)[None, :, :, None]
        bump = choose(drawn[:, 4] < 0.5, bump, bump.transpose(0, 2, 1, 3))
        bump = bump + old / (_channel_length(old) + TINY)
        rest[target] = bump / (_channel_length(bump) + TINY) * np.sqrt(unused / c + mass)
        return state.images + self.epsilon * self.norm.steepest(rest)


def _signs(uniform: np.ndarray) -> np.ndarray:
    return np.where(uniform < 0.5, -1.0, 1.0)


def _window(uniform: np.ndarray, side: int, h: int, w: int) -> Window:
    """Return the index of one random square in each image, from (b, 2) numbers of U(0, 1)."""
    top, left = (uniform * (h - side + 1, w - side + 1)).astype(int).T
    along = np.arange(side)
    image = np.arange(len(uniform))[:, None, None]
    return image, top[:, None, None] + along[:, None], left[:, None, None] + along


def _channel_length(change: np.ndarray) -> np.ndarray:
    return np.sqrt(np.square(change).sum(axis=(1, 2), keepdims=True))


def _tiled_bumps(state: State, side: int) -> np.ndarray:
    """Return bumps side by side, each of random sign and one of two ways, (b, h, w, c)."""
    b, h, w, c = state.images.shape
    change = np.zeros_like(state.images)
    bump = _bump(side)[None, :, :, None]
    for top in range(h % side // 2, h - side + 1, side):
        for left in range(w % side // 2, w - side + 1, side):
            drawn = np.stack([generator.random(c + 1) for generator in state.generators])
            tile = choose(drawn[:, 0] < 0.5, bump + np.zeros((b, 1, 1, 1)), _turned(bump, b))
            signs = _signs(drawn[:, 1:])[:, None, None]
            change[:, top : top + side, left : left + side] = signs * tile
    return change


def _turned(bump: np.ndarray, count: int) -> np.ndarray:
    return np.broadcast_to(bump.transpose(0, 2, 1, 3), (count, *bump.shape[1:]))


def _bump(side: int) -> np.ndarray:
    """Return (side, side) of length 1: a hill over one half, a hollow over the other (eq. 2)."""
    upper = side // 2
    bump = np.concatenate([_hill(upper, side), -_hill(side - upper, side)])
    return bump / np.linalg.norm(bump)


def _hill(height: int, width: int) -> np.ndarray:
    """Return a pyramid whose value at distance d from the middle is the sum of 1 / (r + 1)^2 over
    r >= d, of length 1."""
    down, right = np.arange(height) - height // 2, np.arange(width) - width // 2
    distance = np.maximum(np.abs(down)[:, None], np.abs(right))
    reach = max(height // 2, width // 2) + 1
    tails = np.cumsum(1 / np.arange(reach, 0, -1.0) ** 2)[::-1]
    hill = tails[distance]
    return hill / max(np.linalg.norm(hill), TINY)
