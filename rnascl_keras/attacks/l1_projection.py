"""The nearest point of the L1 ball and of [0, 1] (Croce and Hein, 2021, "Mind the box", prop. 2.1).

Onto one after the other, as for L2, a sparse change would end far inside the ball.
"""

from __future__ import annotations

from typing import Any

import numpy as np

Array = Any

ROUNDS = 60
"""Every third halves what is left of the interval; an attack's points take three to fifteen."""


def onto_l1_ball(points: Array, images: Array, epsilon: float, ops: Any = np) -> Array:
    """Return the points of the ball and of [0, 1] that are nearest in L2, (batch, h, w, c).

    Each change shrinks by the same amount, and ends where it comes to 0, or to what its pixel's
    room to 0 or 1 leaves: min(max(|change| - amount, 0), room). The amount is that for which these
    add up to `epsilon`.

    Args:
        points: (batch, h, w, c), anywhere.
        images: (batch, h, w, c), the centre of the ball, pixels in [0, 1].
        epsilon: L1 radius.
        ops: array namespace, NumPy or `keras.ops`.
    """
    size = int(np.prod(images.shape[1:]))
    change = ops.reshape(points - images, (-1, size))
    room = ops.reshape(ops.where(points > images, 1.0 - images, images), (-1, size))
    wanted = ops.abs(change)
    amount = _amount(wanted, room, epsilon, ops)
    kept = ops.sign(change) * _kept(wanted, room, amount, ops)
    return ops.clip(images + ops.reshape(kept, ops.shape(images)), 0.0, 1.0)


def _kept(wanted: Array, room: Array, amount: Array, ops: Any) -> Array:
    """Return what is left of each change, shrunk by the amount, (batch, size)."""
    return ops.minimum(ops.maximum(wanted - amount, 0.0), room)


def _amount(wanted: Array, room: Array, epsilon: float, ops: Any) -> Array:
    """Return by how much the changes shrink, (batch, 1), 0 where they are in the ball.

    Their sum falls with the amount and is piecewise linear: Newton's method is exact once it is on
    the right piece. As the slope grows and falls again, it may lead astray: halving the interval
    now and then brings it there. The paper sorts all kinks instead, which takes longer.
    """
    low = amount = ops.zeros_like(wanted[:, :1])
    high = ops.max(wanted, axis=1, keepdims=True)
    newton = amount
    for k in range(ROUNDS):
        over = ops.sum(_kept(wanted, room, amount, ops), axis=1, keepdims=True) - epsilon
        low = ops.where(over > 0, amount, low)
        high = ops.where(over > 0, high, amount)
        shrinks = (wanted > amount) & (wanted - room <= amount)
        number = ops.sum(ops.where(shrinks, ops.ones_like(wanted), 0.0), axis=1, keepdims=True)
        newton = ops.minimum(ops.maximum(amount + over / ops.maximum(number, 1.0), low), high)
        following = (low + high) / 2 if k % 3 == 2 else newton
        if ops is np:  # so that what comes out does not hang on the rest of the batch
            settled = _settled(over, amount, epsilon)
            if settled.all():
                break
            following = np.where(settled, amount, following)
        amount = following
    return newton


def _settled(over: np.ndarray, amount: np.ndarray, epsilon: float) -> np.ndarray:
    """Return which sums are right but for rounding, or in the ball as they are, (batch, 1)."""
    rounding = 32 * np.finfo(over.dtype).eps * epsilon
    return (np.abs(over) <= rounding) | ((over <= 0) & (amount == 0))
