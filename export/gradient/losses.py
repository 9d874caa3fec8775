"""Losses as nodes: from logits to each image's loss and its derivative by the logits."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from onnx import TensorProto

from rnascl_keras.attacks import losses
from rnascl_keras.export.gradient.graph import Graph, Tensor

_INT64 = TensorProto.INT64
# Keeps a ratio's divisor from 0.
_TINY = 1e-12


@dataclass(frozen=True)
class Classes:
    """What a loss is told besides the logits.

    Attributes:
        told: what it needs, by name, and no more: the properties below.
    """

    told: Mapping[str, Tensor]

    @property
    def labels(self) -> Tensor:
        """The true classes, (batch,) int64."""
        return self.told["labels"]

    @property
    def targets(self) -> Tensor:
        """The classes of a targeted loss, (batch,) int64."""
        return self.told["targets"]

    @property
    def slopes(self) -> Tensor:
        """The weights of a linear loss, (batch, classes)."""
        return self.told["slopes"]


# (logits (batch, classes), classes) -> (loss (batch, 1), derivative by the logits)
Builder = Callable[[Tensor, Classes], tuple[Tensor, Tensor]]


@dataclass(frozen=True)
class LossNodes:
    """How a loss is built.

    Attributes:
        build: adds its nodes.
        needs: what it is told, properties of `Classes`.
        least_classes: how many it is defined for.
    """

    build: Builder
    needs: tuple[str, ...]
    least_classes: int


def log_odds(z: Tensor, classes: Classes) -> tuple[Tensor, Tensor]:
    """The log-odds against the true class, log sum_(k != y) exp(z_k) - z_y.

    The cross-entropy is softplus of it, so both order the points of an image alike, and their
    gradients point the same way; but this one's does not vanish where the model is sure.
    """
    own = _hot(z, classes.labels)
    others = own.where(_lowest(z), z)
    largest = others.graph.reduce("ReduceMax", others, [1], keepdims=True)
    odds = own.where(0, z.graph.op("Exp", others - largest), z.dtype)
    total = odds.sum([1], keepdims=True)
    value = z.graph.op("Log", total) + largest - _at(z, classes.labels)
    return value, own.where(-1, odds / total, z.dtype)


def cross_entropy(z: Tensor, classes: Classes) -> tuple[Tensor, Tensor]:
    """-log softmax(z)_y, computed from the log-odds m as softplus(m), without cancellation.

    Its gradient is sigmoid(m) times that of m: true to 7 digits down to m = -87, and 0 below
    -103, where float32 ends.
    """
    value, slopes = log_odds(z, classes)
    total = z.graph.op("Softplus", value)
    # onnxruntime's Sigmoid is 0 from -18 on
    return total, slopes * z.graph.op("Exp", value - total)


def margin(z: Tensor, classes: Classes) -> tuple[Tensor, Tensor]:
    """The largest other logit minus the true one; above 0 the image is misclassified.

    It is f_6 of Carlini and Wagner (2017) without its cut at 0. Of others that tie, the first.
    """
    others = _hot(z, classes.labels).where(_lowest(z), z)
    runner_up = z.graph.op("ArgMax", others, axis=1, keepdims=0)
    return _difference(z, runner_up, classes.labels)


def difference(z: Tensor, classes: Classes) -> tuple[Tensor, Tensor]:
    """The target's logit minus the true one."""
    return _difference(z, classes.targets, classes.labels)


def dlr(z: Tensor, classes: Classes) -> tuple[Tensor, Tensor]:
    """Difference of logits ratio (Croce and Hein, 2020, eq. 6), of three classes or more: the
    margin over the distance of the first from the third logit."""
    return _ratio(z, margin(z, classes), {0: 1.0, 2: -1.0})


def targeted_dlr(z: Tensor, classes: Classes) -> tuple[Tensor, Tensor]:
    """Its targeted form (eq. 7), of four classes or more: the difference over the distance of the
    first from the mean of the third and fourth logit."""
    return _ratio(z, difference(z, classes), {0: 1.0, 2: -0.5, 3: -0.5})


def linear(z: Tensor, classes: Classes) -> tuple[Tensor, Tensor]:
    """The logits weighted by given slopes: any other loss, differentiated by the logits outside."""
    return (z * classes.slopes).sum([1], keepdims=True), classes.slopes


LOSSES = {
    "cross_entropy": LossNodes(cross_entropy, ("labels",), 2),
    "log_odds": LossNodes(log_odds, ("labels",), 2),
    "margin": LossNodes(margin, ("labels",), 2),
    "difference": LossNodes(difference, ("labels", "targets"), 2),
    "dlr": LossNodes(dlr, ("labels",), 3),
    "targeted_dlr": LossNodes(targeted_dlr, ("labels", "targets"), 4),
    "linear": LossNodes(linear, ("slopes",), 1),
}


def name_in_graph(loss: Any) -> str | None:
    """Return what `LOSSES` calls a loss of `rnascl_keras.attacks`; None of any other, though it
    may have the name of one that is built here."""
    name = getattr(loss, "name", None)
    return name if name in LOSSES and losses.NAMED.get(name) is loss else None


def _lowest(z: Tensor) -> Tensor:
    dtype = np.float64 if z.dtype == TensorProto.DOUBLE else np.float32
    return z.graph.constant(np.finfo(dtype).min, z.dtype)


def _column(classes: Tensor) -> Tensor:
    # (batch,) -> (batch, 1); 0 keeps the batch's name, which -1 would lose
    return classes.reshape([0, 1])


def _hot(z: Tensor, classes: Tensor) -> Tensor:
    """Return booleans, (batch, classes): true at each image's class."""
    graph: Graph = z.graph
    count = z.shape[1] if z.shape else None
    if isinstance(count, int):
        every = graph.constant(np.arange(count))
    else:
        size = graph.op("Gather", graph.op("Shape", z), graph.constant(1, _INT64))
        every = graph.op("Range", 0, size, 1)
    return _column(classes).equals(every)


def _at(z: Tensor, classes: Tensor) -> Tensor:
    """Return the logit of each image's class, (batch, 1); a class out of range is an error of the
    runtime's."""
    return z.graph.op("GatherElements", z, _column(classes), axis=1)


def _difference(z: Tensor, raised: Tensor, lowered: Tensor) -> tuple[Tensor, Tensor]:
    slopes = _hot(z, raised).cast(z.dtype) - _hot(z, lowered).cast(z.dtype)
    return _at(z, raised) - _at(z, lowered), slopes


def _ratio(
    z: Tensor, raised: tuple[Tensor, Tensor], weights: dict[int, float]
) -> tuple[Tensor, Tensor]:
    """Divide a loss by a weighted sum of the sorted logits; `weights` are by rank, from 0."""
    graph, (value, slopes) = z.graph, raised
    ranked = graph.op("TopK", z, graph.integers([max(weights) + 1]), outputs=2, axis=1)[1]
    divisor, inner = _TINY, 0
    for rank, weight in weights.items():
        # (batch, most) -> (batch, 1)
        chosen = graph.op("Gather", ranked, graph.integers([rank]), axis=1, dtype=_INT64)
        divisor = _at(z, chosen) * weight + divisor
        inner = _hot(z, chosen).cast(z.dtype) * weight + inner
    ratio = value * graph.op("Reciprocal", divisor)
    return ratio, (slopes - ratio * inner) * graph.op("Reciprocal", divisor)
