"""Rules of operators that pick values by their positions, or put them there.

Positions have no gradient. Where a scatter without a reduction puts two values in one place, ONNX
does not say which of them stays; nor does the gradient.
"""

from __future__ import annotations

from onnx import TensorProto

from rnascl_keras.export.gradient.graph import Tensor
from rnascl_keras.export.gradient.registry import Step, Unsupported, rule


@rule("TopK")
def top_k(step: Step) -> dict[int, Tensor]:
    """To the values that were chosen, each of which is chosen once."""
    graph, g, x = step.graph, step.gradient, step.input()
    if step.has_output(1):
        places = Tensor(graph, step.node.output[1], TensorProto.INT64)
    else:
        name = f"gradient/{step.node.output[0]}/indices"
        places = graph.add_output(step.node, 1, name, TensorProto.INT64)
    zeros = graph.zeros(graph.shape_of(x), g.dtype)
    return {0: graph.op("ScatterElements", zeros, places, g, axis=step.attribute("axis"))}


@rule("GatherElements")
def gather_elements(step: Step) -> dict[int, Tensor]:
    graph, g = step.graph, step.gradient
    zeros = graph.zeros(graph.shape_of(step.input()), g.dtype)
    axis = step.attribute("axis")
    return {0: graph.op("ScatterElements", zeros, step.input(1), g, axis=axis, reduction="add")}


@rule("GatherND")
def gather_nd(step: Step) -> dict[int, Tensor]:
    if step.attribute("batch_dims"):
        raise Unsupported("it gathers from each image by its own positions")
    graph, g = step.graph, step.gradient
    zeros = graph.zeros(graph.shape_of(step.input()), g.dtype)
    return {0: graph.op("ScatterND", zeros, step.input(1), g, reduction="add")}


@rule("ScatterElements", inputs=(0, 2))
def scatter_elements(step: Step) -> dict[int, Tensor]:
    axis = {"axis": step.attribute("axis")}
    return _scattered(step, ("ScatterElements", "GatherElements"), axis)


@rule("ScatterND", inputs=(0, 2))
def scatter_nd(step: Step) -> dict[int, Tensor]:
    return _scattered(step, ("ScatterND", "GatherND"), {})


def _scattered(step: Step, operators: tuple[str, str], axis: dict[str, int]) -> dict[int, Tensor]:
    """What was put gets the gradient of its place; what it replaced gets none."""
    scatter, gather = operators
    reduction = step.attribute("reduction").decode()
    if reduction not in ("none", "add"):
        raise Unsupported(f"it combines values by {reduction!r}")
    graph, g, places = step.graph, step.gradient, step.input(1)
    gradients = {0: g}
    if 0 in step.wanted and reduction == "none":
        zeros = graph.zeros(graph.shape_of(step.input(2)), g.dtype)
        gradients[0] = graph.op(scatter, g, places, zeros, **axis)
    if 2 in step.wanted:
        gradients[2] = graph.op(gather, g, places, **axis)
    return gradients
