"""Normalisations that onnxruntime alone knows, or still knows, in other words."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper

from rnascl_keras.export.gradient.known import KnownTensors
from rnascl_keras.export.gradient.registry import attributes_of
from rnascl_keras.export.twin.rewriting import Rewriting, free_name

_BY_GROUPS, _BY_SQUARES = "GroupNormalization", "SimplifiedLayerNormalization"
_FLOATS = {TensorProto.FLOAT, TensorProto.DOUBLE}
# from this opset on, GroupNormalization is onnx's own again
_BY_CHANNELS = 21
# of ReduceMean
_AXES_ARE_INPUTS = 18


def define_normalisations(model: onnx.ModelProto) -> None:
    """Put two of them in operators that onnx's checker knows, too; in place.

    GroupNormalization of opsets 18 to 20 has a scale for each group, not for each channel;
    SimplifiedLayerNormalization divides by the root of the mean square. What is in half precision,
    has a scale that is no weight, or axes that are not known, stays.
    """
    graph = model.graph
    if not {node.op_type for node in graph.node} & {_BY_GROUPS, _BY_SQUARES}:
        return
    opset = next(o.version for o in model.opset_import if o.domain == "")
    rewriting = Rewriting(KnownTensors(graph), free_name(graph, "normalised"))
    nodes: list[onnx.NodeProto] = []
    for node in graph.node:
        kind = rewriting.known.dtype(node.input[1]) if len(node.input) > 1 else None
        can_be = node.domain == "" and len(node.output) == 1 and kind in _FLOATS
        if can_be and node.op_type == _BY_GROUPS and opset < _BY_CHANNELS:
            _normalise_groups(node, rewriting)
        elif can_be and node.op_type == _BY_SQUARES:
            _divide_by_root(node, rewriting, opset)
        nodes += list(rewriting.take()) or [node]
    rewriting.put(graph, nodes)


def _normalise_groups(node: onnx.NodeProto, rewriting: Rewriting) -> None:
    x, scale, offset = node.input
    attributes = attributes_of(node)
    groups = rewriting.constant(np.array([0, attributes["num_groups"], -1]))
    # (batch, channels, ..) -> (batch, groups, channels / groups * ..)
    rows = rewriting.node("Reshape", x, groups)
    epsilon = attributes.get("epsilon", 1e-5)
    made = rewriting.node("InstanceNormalization", rows, scale, offset, epsilon=epsilon)
    rewriting.node("Reshape", made, rewriting.node("Shape", x), output=node.output[0])


def _divide_by_root(node: onnx.NodeProto, rewriting: Rewriting, opset: int) -> None:
    """Make x scale / sqrt(mean of x^2 + epsilon), the mean over the axes from `axis` on."""
    x, scale = node.input
    attributes = attributes_of(node)
    axes = _from(attributes.get("axis", -1), rewriting.known.shape(x))
    if axes is None:
        return
    square = rewriting.node("Mul", x, x)
    if opset < _AXES_ARE_INPUTS:
        mean = rewriting.node("ReduceMean", square, axes=axes)
    else:
        mean = rewriting.node("ReduceMean", square, rewriting.constant(np.array(axes)))
    dtype = helper.tensor_dtype_to_np_dtype(rewriting.known.dtype(scale))
    epsilon = rewriting.constant(np.array(attributes.get("epsilon", 1e-5), dtype))
    root = rewriting.node("Sqrt", rewriting.node("Add", mean, epsilon))
    rewriting.node("Mul", rewriting.node("Div", x, root), scale, output=node.output[0])


def _from(axis: int, shape: Sequence[Any] | None) -> list[int] | None:
    """Return the axes from one on, counted from the last; None where that cannot be known."""
    if axis >= 0 and shape is None:
        return None
    first = axis if axis < 0 else axis - len(shape or ())
    return list(range(first, 0)) or None
