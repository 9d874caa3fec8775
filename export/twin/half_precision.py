"""Graphs in half precision, and the same in single precision."""

from __future__ import annotations

import numpy as np
import onnx
from onnx import TensorProto, numpy_helper

from rnascl_keras.export.gradient.known import true_inputs
from rnascl_keras.export.gradient.subgraphs import subgraphs

_TYPES = ("to", "dtype", "output_dtype")
_HALVES = {TensorProto.FLOAT16, TensorProto.BFLOAT16}


def has_halves(graph: onnx.GraphProto) -> bool:
    """Whether a graph, or one within it, has float16 or bfloat16 as images, weights, constants or
    by a cast."""
    if any(value.type.tensor_type.elem_type in _HALVES for value in true_inputs(graph)):
        return True
    if any(tensor.data_type in _HALVES for tensor in graph.initializer):
        return True
    return any(
        any(map(_makes_halves, node.attribute)) or any(map(has_halves, subgraphs(node)))
        for node in graph.node
    )


def _makes_halves(attribute: onnx.AttributeProto) -> bool:
    casts = attribute.name == "to" and attribute.i in _HALVES
    return casts or attribute.t.data_type in _HALVES


def widen(graph: onnx.GraphProto) -> None:
    """Turn float16 and bfloat16 into float32, in graphs within it too: weights, constants, casts,
    and what a graph says of its ends."""
    single = TensorProto.FLOAT
    for tensor in graph.initializer:
        if tensor.data_type in _HALVES:
            _replace(tensor)
    for node in graph.node:
        for attribute in node.attribute:
            if attribute.name in _TYPES and attribute.i in _HALVES:
                attribute.i = single
            if attribute.HasField("t") and attribute.t.data_type in _HALVES:
                _replace(attribute.t)
        for inner in subgraphs(node):
            widen(inner)
    for value in (*graph.input, *graph.output):
        if value.type.tensor_type.elem_type in _HALVES:
            value.type.tensor_type.elem_type = single


def _replace(tensor: onnx.TensorProto) -> None:
    wide = numpy_helper.to_array(tensor).astype(np.float32)
    tensor.CopyFrom(numpy_helper.from_array(wide, tensor.name))
