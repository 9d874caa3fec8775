"""Rules of sums, means and extrema over axes, and of softmax."""

from __future__ import annotations

import math
from collections import Counter

from rnascl_keras.export.gradient.graph import Tensor
from rnascl_keras.export.gradient.registry import Step, rule


@rule("ReduceSum")
def reduce_sum(step: Step) -> dict[int, Tensor]:
    if _is_identity(step):
        return {0: step.gradient}
    return {0: step.graph.expand_like(_kept(step, step.gradient), step.input(), step.output())}


@rule("ReduceMean")
def reduce_mean(step: Step) -> dict[int, Tensor]:
    if _is_identity(step):
        return {0: step.gradient}
    share = _kept(step, step.gradient) / _count(step.input(), step.output())
    return {0: step.graph.expand_like(share, step.input(), step.output())}


@rule("GlobalAveragePool")
def global_average_pool(step: Step) -> dict[int, Tensor]:
    x, y = step.input(), step.output()
    return {0: step.graph.expand_like(step.gradient / _count(x, y), x, y)}


@rule("ReduceMax", "ReduceMin", "GlobalMaxPool")
def reduce_extremum(step: Step) -> dict[int, Tensor]:
    """Values that tie share the gradient equally."""
    if _is_identity(step):
        return {0: step.gradient}
    hits = step.input().equals(_kept(step, step.output())).cast(step.output().dtype)
    if step.node.op_type == "GlobalMaxPool":
        ties = hits.sum(range(2, step.rank()), keepdims=True)
    elif step.has(1):
        ties = step.graph.op("ReduceSum", hits, step.input(1), keepdims=1)
    else:
        ties = step.graph.op("ReduceSum", hits, keepdims=1)
    return {0: hits * (_kept(step, step.gradient) / ties)}


@rule("ReduceProd")
def reduce_product(step: Step) -> dict[int, Tensor]:
    """By each value the product of the others: where one of them is 0, that is 0 for all but it."""
    if _is_identity(step):
        return {0: step.gradient}
    graph, x, axes = step.graph, step.input(), [step.input(1)] if step.has(1) else []
    zero = x.equals(0)
    others = zero.where(1, x)
    product = graph.op("ReduceProd", others, *axes, keepdims=1)
    zeros = graph.op("ReduceSum", zero.cast(x.dtype), *axes, keepdims=1)
    slopes = zero.where((zeros <= 1).where(product, 0), zeros.equals(0).where(product / others, 0))
    return {0: _kept(step, step.gradient) * slopes}


@rule("CumSum")
def cumulative_sum(step: Step) -> dict[int, Tensor]:
    """The cumulative sum from the other end."""
    exclusive, reverse = step.attribute("exclusive"), 1 - step.attribute("reverse")
    axis = step.input(1)
    return {0: step.graph.op("CumSum", step.gradient, axis, exclusive=exclusive, reverse=reverse)}


@rule("Softmax")
def softmax(step: Step) -> dict[int, Tensor]:
    g, y = step.gradient, step.output()
    return {0: y * (g - (g * y).sum([step.attribute("axis")], keepdims=True))}


@rule("LogSoftmax")
def log_softmax(step: Step) -> dict[int, Tensor]:
    g = step.gradient
    total = g.sum([step.attribute("axis")], keepdims=True)
    return {0: g - step.graph.op("Exp", step.output()) * total}


def _is_identity(step: Step) -> bool:
    """Whether there are no axes to reduce over, and that means none, not all."""
    if not step.attribute("noop_with_empty_axes"):
        return False
    return not step.has(1) or step.constant(1).size == 0


def _kept(step: Step, reduced: Tensor) -> Tensor:
    """Give back to `reduced` the axes reduced over, with size 1, where the node dropped them."""
    if step.attribute("keepdims", 1):
        return reduced
    if step.has(1):
        return step.graph.op("Unsqueeze", reduced, step.input(1))
    # a scalar, which broadcasts
    return reduced


def _count(x: Tensor, y: Tensor) -> Tensor | int:
    """Return how many values of `x` go into one of `y`."""
    if x.shape is not None and y.shape is not None:
        # what both have cancels, sizes left open included
        own, rest = Counter(x.shape), Counter(y.shape)
        over, under = list((own - rest).elements()), list((rest - own).elements())
        if None not in own and set(under) <= {1} and all(isinstance(size, int) for size in over):
            return math.prod(over)
    graph = x.graph
    return graph.op("Div", graph.op("Size", x), graph.op("Size", y)).cast(x.dtype)
