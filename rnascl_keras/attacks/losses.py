"""What attacks raise, each with its derivative by the logits.

A loss maps (ops, logits, labels, targets) to its values, (batch,), and their derivatives by the
logits, (batch, classes): all that a classifier needs to add is its own backward pass. `ops` is the
array namespace: NumPy, or `keras.ops` inside a compiled function. Logits are (batch, classes),
labels and targets (batch,) integers; `targets` are the classes of a targeted attack, else ignored.

Any function of that form will do. Those here have a name too, by which what cannot call them, an
ONNX graph, finds its own way to compute the same.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

Array = Any
LossFunction = Callable[[Any, Array, Array, Array], tuple[Array, Array]]


@dataclass(frozen=True)
class Loss:
    """A loss function with a name; called like the function.

    Attributes:
        name: what messages call it.
        function: (ops, logits, labels, targets) -> (values, derivatives), as above.
    """

    name: str
    function: LossFunction

    def __call__(
        self, ops: Any, logits: Array, labels: Array, targets: Array
    ) -> tuple[Array, Array]:
        # NumPy warns of infinite logits; what they give is undefined, and never counts as robust
        with np.errstate(all="ignore"):
            return self.function(ops, logits, labels, targets)


NAMED: dict[str, Loss] = {}
"""The losses of this module by name."""


def named(name: str) -> Callable[[LossFunction], Loss]:
    """Make a function a `Loss` of this name, and keep it in `NAMED`."""

    def register(function: LossFunction) -> Loss:
        NAMED[name] = Loss(name, function)
        return NAMED[name]

    return register


def name_of(loss: LossFunction) -> str:
    """Return what messages call a loss, be it a `Loss` or any function."""
    return getattr(loss, "name", None) or getattr(loss, "__name__", type(loss).__name__)


@named("log_odds")
def log_odds(ops: Any, logits: Array, labels: Array, targets: Array) -> tuple[Array, Array]:
    """The log-odds against the true class, m = log sum_(k != y) exp(z_k) - z_y.

    It stands for the cross-entropy, which is log(1 + exp(m)): that one's gradient is sigmoid(m)
    times that of m, so the order of an image's points and the signs and normalised directions of
    gradients are the same, but where the model is sure, sigmoid(m) underflows to 0 and an attack
    would stand still.
    """
    own = _hot(ops, labels, logits)
    others = ops.where(own > 0, -np.inf, logits)
    largest = ops.max(others, axis=1, keepdims=True)
    odds = ops.exp(others - largest)
    total = ops.sum(odds, axis=1, keepdims=True)
    values = ops.log(total) + largest - _at(ops, logits, labels)
    return values[:, 0], odds / total - own


@named("margin")
def margin(ops: Any, logits: Array, labels: Array, targets: Array) -> tuple[Array, Array]:
    """The largest other logit minus the true one (Carlini and Wagner, 2017, f_6 without its cut);
    above 0 the image is misclassified."""
    return difference(ops, logits, labels, runner_up(ops, logits, labels))


@named("difference")
def difference(ops: Any, logits: Array, labels: Array, targets: Array) -> tuple[Array, Array]:
    """The target's logit minus the true one."""
    values = _at(ops, logits, targets) - _at(ops, logits, labels)
    return values[:, 0], _hot(ops, targets, logits) - _hot(ops, labels, logits)


@named("dlr")
def dlr(ops: Any, logits: Array, labels: Array, targets: Array) -> tuple[Array, Array]:
    """Difference of logits ratio (Croce and Hein, 2020, eq. 6): the margin over the distance of the
    first from the third logit. Of three classes or more."""
    rank = ops.argsort(logits, axis=1)
    return _ratio(
        margin(ops, logits, labels, targets), [(1.0, rank[:, -1]), (-1.0, rank[:, -3])], ops, logits
    )


@named("targeted_dlr")
def targeted_dlr(ops: Any, logits: Array, labels: Array, targets: Array) -> tuple[Array, Array]:
    """Its targeted form (eq. 7): over the first minus the mean of the third and fourth logit. Of
    four classes or more."""
    rank = ops.argsort(logits, axis=1)
    scale = [(1.0, rank[:, -1]), (-0.5, rank[:, -3]), (-0.5, rank[:, -4])]
    return _ratio(difference(ops, logits, labels, targets), scale, ops, logits)


def runner_up(ops: Any, logits: Array, labels: Array) -> Array:
    """Return the most probable class other than the label, (batch,)."""
    return ops.argmax(ops.where(_hot(ops, labels, logits) > 0, -np.inf, logits), axis=1)


def _ratio(
    raised: tuple[Array, Array], scale: list[tuple[float, Array]], ops: Any, logits: Array
) -> tuple[Array, Array]:
    """Divide a loss by the sum of weighted logits, weight and class each, with its derivative."""
    values, slopes = raised
    divisor = sum(weight * _at(ops, logits, k) for weight, k in scale) + 1e-12  # (batch, 1)
    inner = sum(weight * _hot(ops, k, logits) for weight, k in scale)
    ratio = values[:, None] / divisor
    return ratio[:, 0], (slopes - ratio * inner) / divisor


def _hot(ops: Any, classes: Array, logits: Array) -> Array:
    """(batch,) -> (batch, classes), 1 at the class, in the type of the logits."""
    chosen = ops.expand_dims(classes, 1) == ops.arange(logits.shape[1], dtype=classes.dtype)
    return ops.where(chosen, ops.ones_like(logits), ops.zeros_like(logits))


def _at(ops: Any, logits: Array, classes: Array) -> Array:
    """Return the logit of each image's class, (batch, 1)."""
    return ops.take_along_axis(logits, ops.expand_dims(classes, 1), axis=1)
