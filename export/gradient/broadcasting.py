"""Undoing NumPy-style broadcasting: the gradient by an operand is summed to the operand's shape."""

from __future__ import annotations

from onnx import TensorProto

from rnascl_keras.export.gradient.graph import Graph, Tensor


def sum_to(g: Tensor, x: Tensor, y: Tensor) -> Tensor:
    """Sum `g`, in the shape of `y`, over the axes along which `x` was broadcast to `y`."""
    own, whole = x.shape, y.shape
    axes = _broadcast_axes(own, whole)
    if own is None or whole is None or axes is None:
        return _sum_to_unknown(g.graph, g, x)
    if axes:
        g = g.sum(axes, keepdims=True)
    lead = len(whole) - len(own)
    # (1, .., 1, *shape of x) -> shape of x
    return g.graph.op("Squeeze", g, g.graph.integers(range(lead))) if lead else g


def _broadcast_axes(x: tuple | None, y: tuple | None) -> list[int] | None:
    """Return the axes of `y` to sum over, or None where it depends on sizes left open."""
    if x is None or y is None or len(x) > len(y):
        return None
    lead = len(y) - len(x)
    axes = list(range(lead))
    for axis, (own, whole) in enumerate(zip(x, y[lead:], strict=True), start=lead):
        if own == 1 and whole != 1:
            axes.append(axis)
        elif not isinstance(own, int) and (own is None or own != whole):
            return None
    return axes


def _sum_to_unknown(graph: Graph, g: Tensor, x: Tensor) -> Tensor:
    own, whole = graph.shape_of(x), graph.op("Shape", g)
    ranks = [graph.op("Shape", shape) for shape in (own, whole)]
    ones = graph.op("Expand", graph.integers([1]), ranks[1] - ranks[0])
    differs = graph.op("Not", graph.op("Concat", ones, own, axis=0).equals(whole))
    # (1, n) -> (n,)
    axes = graph.op("NonZero", differs, dtype=TensorProto.INT64).reshape([-1])
    return graph.reduce("ReduceSum", g, axes, keepdims=True).reshape(own)
