"""The balls that attacks stay in: L-infinity, L2, L1 and L0, around an image and within [0, 1].

A norm says how long a perturbation is, which way is steepest, and where in the ball a random point
lies. `ops` is the array namespace: NumPy, or `keras.ops` inside a compiled function.
"""

from __future__ import annotations

from numbers import Real
from typing import Any

import numpy as np

from rnascl_keras.attacks.l1_projection import onto_l1_ball
from rnascl_keras.errors import UserError, look_up

Array = Any

PIXELS = (1, 2, 3)  # the axes of one image in (batch, h, w, c)
TINY = 1e-12
LEAST_SHARE = 0.01
LARGEST_MOVE = 0.25


class Norm:
    """A ball, and what attacks by gradient ask about it.

    Attributes:
        name: by which it is chosen.
        radii: which radii it has, in words.
    """

    name: str
    radii = "a radius in (0, inf)"

    @staticmethod
    def is_radius(epsilon: float) -> bool:
        """Return whether `epsilon` is one."""
        return 0.0 < epsilon < np.inf

    @staticmethod
    def project(points: Array, images: Array, epsilon: float, ops: Any = np) -> Array:
        """Return the points, (batch, h, w, c), moved into the ball around `images`, and [0, 1]."""
        raise NotImplementedError

    @staticmethod
    def length(change: np.ndarray) -> np.ndarray:
        """Return the norm of each change, (batch, h, w, c) -> (batch,)."""
        raise NotImplementedError

    @staticmethod
    def steepest(gradient: np.ndarray) -> np.ndarray:
        """Return the change of length 1 that raises the loss most; zero without gradient."""
        raise NotImplementedError

    @classmethod
    def direction(cls, gradient: np.ndarray, length: float) -> np.ndarray:
        """Return the change of length 1 along which a step of this `length` goes."""
        return cls.steepest(gradient)

    @staticmethod
    def dual_length(gradient: np.ndarray) -> np.ndarray:
        """Return what a change of length 1 gains at most, (batch, h, w, c) -> (batch,)."""
        raise NotImplementedError

    @staticmethod
    def dual_weight(normal: np.ndarray) -> np.ndarray:
        """How far each pixel moves per unit of the shortest way along `normal`."""
        raise NotImplementedError

    @staticmethod
    def random_change(generator: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
        """Return a point of the unit ball, uniformly distributed."""
        raise NotImplementedError


class Linf(Norm):
    """No pixel changes by more than the radius."""

    name = "Linf"
    radii = "a radius in (0, 1], in pixel units of [0, 1]: for 8 of 255 grey levels give 8/255"

    @staticmethod
    def is_radius(epsilon: float) -> bool:
        return 0.0 < epsilon <= 1.0

    @staticmethod
    def project(points: Array, images: Array, epsilon: float, ops: Any = np) -> Array:
        if ops is not np:
            inside = ops.minimum(ops.maximum(points, images - epsilon), images + epsilon)
            return ops.clip(inside, 0.0, 1.0)
        bound = images - epsilon  # new arrays cost more than what is computed in them
        inside = np.maximum(points, bound)
        np.minimum(inside, np.add(images, epsilon, out=bound), out=inside)
        return np.clip(inside, 0.0, 1.0, out=inside)

    @staticmethod
    def length(change: np.ndarray) -> np.ndarray:
        return np.abs(change).max(axis=PIXELS)

    @staticmethod
    def steepest(gradient: np.ndarray) -> np.ndarray:
        """The gradient's sign."""
        return np.sign(gradient)

    @staticmethod
    def dual_weight(normal: np.ndarray) -> np.ndarray:
        """All alike."""
        return np.ones_like(normal)

    @staticmethod
    def dual_length(gradient: np.ndarray) -> np.ndarray:
        return np.abs(gradient).sum(axis=PIXELS)

    @staticmethod
    def random_change(generator: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
        return generator.uniform(-1.0, 1.0, shape)


class L2(Norm):
    """The Euclidean length of the change is at most the radius."""

    name = "L2"

    @staticmethod
    def project(points: Array, images: Array, epsilon: float, ops: Any = np) -> Array:
        """Clipping to [0, 1] after scaling stays in the ball, though it is not always the nearest
        point of both: the usual projection."""
        change = points - images
        length = ops.sqrt(ops.sum(change * change, axis=PIXELS, keepdims=True))
        scaled = change * ops.minimum(1.0, epsilon / ops.maximum(length, TINY))
        return ops.clip(images + scaled, 0.0, 1.0)

    @staticmethod
    def length(change: np.ndarray) -> np.ndarray:
        return np.sqrt(np.square(change, dtype=np.float64).sum(axis=PIXELS))

    @staticmethod
    def steepest(gradient: np.ndarray) -> np.ndarray:
        """The gradient divided by its length."""
        # Divided by its largest entry first: the square of a small gradient is 0 in float32.
        scaled = gradient / np.maximum(np.abs(gradient).max(axis=PIXELS, keepdims=True), 1e-37)
        return scaled / np.maximum(np.sqrt(np.square(scaled).sum(axis=PIXELS, keepdims=True)), TINY)

    @staticmethod
    def dual_weight(normal: np.ndarray) -> np.ndarray:
        """In proportion to the normal's own entries."""
        return np.abs(normal)

    @staticmethod
    def dual_length(gradient: np.ndarray) -> np.ndarray:
        return L2.length(gradient)

    @staticmethod
    def random_change(generator: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
        change = generator.normal(size=shape)
        radius = generator.uniform() ** (1 / change.size)
        return change * (radius / np.linalg.norm(change))


class L1(Norm):
    """The absolute changes of all pixels and channels add up to at most the radius."""

    name = "L1"

    @staticmethod
    def project(points: Array, images: Array, epsilon: float, ops: Any = np) -> Array:
        """The nearest point of the ball and of [0, 1] at once."""
        return onto_l1_ball(points, images, epsilon, ops)

    @staticmethod
    def length(change: np.ndarray) -> np.ndarray:
        return np.abs(change).sum(axis=PIXELS, dtype=np.float64)

    @staticmethod
    def steepest(gradient: np.ndarray) -> np.ndarray:
        """All of it at the largest entry."""
        return L1.spread(gradient, np.ones(len(gradient), int))

    @classmethod
    def direction(cls, gradient: np.ndarray, length: float) -> np.ndarray:
        """Spread over the 1 % of entries that are largest, for [0, 1] leaves no room to a long step
        in one: SLIDE (Tramer and Boneh, 2019, algorithm 1). Over more, which theirs does not do,
        where each would have to move by more than 1/4."""
        size = gradient[0].size
        count = min(size, int(np.ceil(max(LEAST_SHARE * size, length / LARGEST_MOVE))))
        return cls.spread(gradient, np.full(len(gradient), count))

    @staticmethod
    def spread(gradient: np.ndarray, count: np.ndarray) -> np.ndarray:
        """Return the signs of the largest entries, so many of each image, (batch,) from 1 on, and
        all that are as large as the last of them, divided by their number."""
        size = np.abs(gradient).reshape(len(gradient), -1)
        least = np.take_along_axis(np.sort(size, axis=1), size.shape[1] - count[:, None], axis=1)
        chosen = ((size >= least) & (size > 0)).reshape(gradient.shape)
        number = np.maximum(chosen.sum(axis=PIXELS, keepdims=True), 1)
        return np.sign(gradient) * chosen / number.astype(gradient.dtype)

    @staticmethod
    def dual_length(gradient: np.ndarray) -> np.ndarray:
        return np.abs(gradient).max(axis=PIXELS)

    @staticmethod
    def random_change(generator: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
        # a face by exponentials that add up to 1, with one more for the distance from it
        parts = generator.exponential(size=int(np.prod(shape)) + 1)
        parts = parts[:-1] / parts.sum()
        return (parts * generator.choice((-1.0, 1.0), parts.shape)).reshape(shape)


class L0(Norm):
    """As many pixels as the radius may change, by any amount in all their channels."""

    name = "L0"
    radii = "a whole number of pixels, 1 at least"

    @staticmethod
    def is_radius(epsilon: float) -> bool:
        return 0 < epsilon < np.inf and float(epsilon).is_integer()

    @staticmethod
    def length(change: np.ndarray) -> np.ndarray:
        return np.any(change != 0, axis=-1).sum(axis=(1, 2))


NORMS: dict[str, type[Norm]] = {norm.name: norm for norm in (Linf, L2, L1, L0)}


def find_norm(name: str) -> type[Norm]:
    """Return the norm called `name`; UserError where there is none."""
    return look_up("norm", name, NORMS)


def check_epsilon(epsilon: float, norm: str = "Linf") -> float:
    """Return `epsilon` as a float; UserError where it is no radius of the norm."""
    ball = find_norm(norm)
    if not isinstance(epsilon, Real) or not ball.is_radius(epsilon):
        raise UserError(f"epsilon is {epsilon!r}; expected for {norm} {ball.radii}.")
    return float(epsilon)
