"""The balls that attacks stay in: L-infinity and L2, around an image and within [0, 1].

A norm says how long a perturbation is, which way is steepest, and where in the ball a random point
lies. `ops` is the array namespace: NumPy, or `keras.ops` inside a compiled function.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from rnascl_keras.errors import UserError, look_up

Array = Any

PIXELS = (1, 2, 3)  # the axes of one image in (batch, h, w, c)
TINY = 1e-12


class Linf:
    """No pixel changes by more than the radius."""

    name = "Linf"

    @staticmethod
    def project(points: Array, images: Array, epsilon: float, ops: Any = np) -> Array:
        """Return the points, (batch, h, w, c), moved into the ball around `images`, then [0, 1]."""
        inside = ops.minimum(ops.maximum(points, images - epsilon), images + epsilon)
        return ops.clip(inside, 0.0, 1.0)

    @staticmethod
    def length(change: np.ndarray) -> np.ndarray:
        """Return the norm of each change, (batch, h, w, c) -> (batch,)."""
        return np.abs(change).max(axis=PIXELS)

    @staticmethod
    def steepest(gradient: np.ndarray) -> np.ndarray:
        """Return the change of length 1 that raises the loss most: the gradient's sign."""
        return np.sign(gradient)

    @staticmethod
    def dual_weight(normal: np.ndarray) -> np.ndarray:
        """How far each pixel moves per unit of the shortest way along `normal`: all alike."""
        return np.ones_like(normal)

    @staticmethod
    def dual_length(gradient: np.ndarray) -> np.ndarray:
        """Return what a change of length 1 gains at most, (batch, h, w, c) -> (batch,)."""
        return np.abs(gradient).sum(axis=PIXELS)

    @staticmethod
    def random_change(generator: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
        """Return a point of the unit ball, uniformly distributed."""
        return generator.uniform(-1.0, 1.0, shape)


class L2:
    """The Euclidean length of the change is at most the radius."""

    name = "L2"

    @staticmethod
    def project(points: Array, images: Array, epsilon: float, ops: Any = np) -> Array:
        """As `Linf.project`. Clipping to [0, 1] after scaling stays in the ball, though it is not
        always the nearest point of both: the usual projection."""
        change = points - images
        length = ops.sqrt(ops.sum(change * change, axis=PIXELS, keepdims=True))
        scaled = change * ops.minimum(1.0, epsilon / ops.maximum(length, TINY))
        return ops.clip(images + scaled, 0.0, 1.0)

    @staticmethod
    def length(change: np.ndarray) -> np.ndarray:
        """As `Linf.length`."""
        return np.sqrt(np.square(change, dtype=np.float64).sum(axis=PIXELS))

    @staticmethod
    def steepest(gradient: np.ndarray) -> np.ndarray:
        """The gradient divided by its length; zero where there is none."""
        # Divided by its largest entry first: the square of a small gradient is 0 in float32.
        scaled = gradient / np.maximum(np.abs(gradient).max(axis=PIXELS, keepdims=True), 1e-37)
        return scaled / np.maximum(np.sqrt(np.square(scaled).sum(axis=PIXELS, keepdims=True)), TINY)

    @staticmethod
    def dual_weight(normal: np.ndarray) -> np.ndarray:
        """As `Linf.dual_weight`: in proportion to the normal's own entries."""
        return np.abs(normal)

    @staticmethod
    def dual_length(gradient: np.ndarray) -> np.ndarray:
        """As `Linf.dual_length`."""
        return L2.length(gradient)

    @staticmethod
    def random_change(generator: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
        """As `Linf.random_change`."""
        change = generator.normal(size=shape)
        radius = generator.uniform() ** (1 / change.size)
        return change * (radius / np.linalg.norm(change))


NORMS = {norm.name: norm for norm in (Linf, L2)}


def find_norm(name: str) -> type[Linf] | type[L2]:
    """Return the norm called `name`; UserError where there is none."""
    return look_up("norm", name, NORMS)


def check_epsilon(epsilon: float, norm: str = "Linf") -> float:
    """Return `epsilon` as a float; UserError where it is no radius: in (0, 1] for L-infinity."""
    largest = 1.0 if norm == "Linf" else np.inf
    if not 0.0 < epsilon <= largest or epsilon == np.inf:
        expected = "(0, 1], in pixel units of [0, 1]" if norm == "Linf" else "(0, inf)"
        raise UserError(
            f"epsilon is {epsilon}; expected a radius in {expected}: for 8 of 255 grey levels give "
            "8/255."
        )
    return float(epsilon)
