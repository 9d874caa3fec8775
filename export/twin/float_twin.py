"""A graph in float32 that gives what a file gives, and has a gradient where the file has none.

Bytes as pixels, half precision, integer kernels and operators that a runtime has fused are ways to
compute, not other functions. Each is written here as the float graph that it stands for, quantised
where the file quantises, so that straight-through rules (`gradient.quantisation`) apply. Logits
still come from the file itself.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import onnx
from onnx import TensorProto, helper

from rnascl_keras.export.gradient.known import KnownTensors, true_inputs
from rnascl_keras.export.gradient.preparation import (
    LEAST_OPSET,
    converted,
    inferred,
    with_short_domains,
)
from rnascl_keras.export.twin import fused  # noqa: F401  registers what it rewrites
from rnascl_keras.export.twin.half_precision import has_halves, widen
from rnascl_keras.export.twin.kernels import KERNELS
from rnascl_keras.export.twin.rewriting import Rewriting, free_name
from rnascl_keras.export.twin.whole_numbers import WIDE, in_floats

_BYTES = {TensorProto.UINT8, TensorProto.INT8}
_FLOATS = {TensorProto.FLOAT, TensorProto.DOUBLE}
# the same as the standard operators; these take 16 bits from this opset on
_SAME = {"com.microsoft.QuantizeLinear", "com.microsoft.DequantizeLinear"}
_OPSET_OF_16_BITS = 21
# On bytes, they order or choose values, and have rules for floats.
_OF_BYTES = {"Clip", "GlobalMaxPool", "Max", "MaxPool", "Min", "Relu"}


@dataclass(frozen=True)
class FloatTwin:
    """What gradients are taken of.

    Attributes:
        model: takes float32 images; pixels of bytes from 0 to 255.
        same_logits: whether its logits are the file's to rounding, so that these need not be asked
            for on their own. Not where it quantises: a value half-way between two integers goes
            to either of them by the last bit of a float.
    """

    model: onnx.ModelProto
    same_logits: bool


def float_twin(model: onnx.ModelProto) -> FloatTwin:
    """Return `model` itself where it is in float32 or float64, else its twin.

    Args:
        model: with one output.
    """
    kinds = _kinds(model)
    same = kinds <= {"bytes"} and not _quantises(model.graph)
    if not kinds:
        return FloatTwin(model, same)
    least = _OPSET_OF_16_BITS if _SAME & _operators(model.graph) else LEAST_OPSET
    twin = converted(with_short_domains(model), least)
    if "halves" in kinds:
        widen(twin.graph)
    if "bytes" in kinds:
        _take_floats(twin.graph)
    _rewrite(twin)
    return FloatTwin(twin, same)


def _quantises(graph: onnx.GraphProto) -> bool:
    return any(node.op_type == "QuantizeLinear" for node in graph.node)


def _kinds(model: onnx.ModelProto) -> set[str]:
    """Return in which of the ways above the model is no float graph."""
    given = [value.type.tensor_type.elem_type for value in true_inputs(model.graph)]
    kinds = {"bytes" for kind in given if kind in _BYTES}
    kinds |= {"halves"} if has_halves(model.graph) else set()
    integers = KERNELS.keys() | _SAME | {"DynamicQuantizeLinear"}
    return kinds | ({"integers"} if _operators(model.graph) & integers else set())


def _operators(graph: onnx.GraphProto) -> set[str]:
    return {_kernel(node) for node in graph.node}


def _to(node: onnx.NodeProto) -> int | None:
    return next((a.i for a in node.attribute if a.name == "to"), None)


def _kernel(node: onnx.NodeProto) -> str:
    standard = node.domain in ("", "ai.onnx")
    return node.op_type if standard else f"{node.domain}.{node.op_type}"


def _take_floats(graph: onnx.GraphProto) -> None:
    """Give the graph an input of floats, which it rounds to bytes itself."""
    (given,) = true_inputs(graph)
    kind = given.type.tensor_type.elem_type
    takes = free_name(graph, "float_pixels")
    rewriting = Rewriting(KnownTensors(graph), takes)
    pixels = helper.make_tensor_value_info(takes, TensorProto.FLOAT, None)
    pixels.type.tensor_type.shape.CopyFrom(given.type.tensor_type.shape)
    name = given.name
    graph.input.remove(given)
    graph.input.insert(0, pixels)
    zero = rewriting.constant(np.zeros((), helper.tensor_dtype_to_np_dtype(kind)))
    rounded = helper.make_node("QuantizeLinear", [takes, rewriting.one, zero], [name])
    rewriting.put(graph, [rounded, *graph.node])


def _rewrite(model: onnx.ModelProto) -> None:
    """Put in the place of each integer kernel the float nodes that it stands for.

    A kernel whose axes onnx does not know stays at first. Where that was for another kernel before
    it, its axes are known once the other is in floats.
    """
    left = _rewrite_once(model)
    while left and (fewer := _rewrite_once(model)) < left:
        left = fewer


def _rewrite_once(model: onnx.ModelProto) -> int:
    """Return how many kernels are left."""
    graph = model.graph
    prefix = free_name(graph, "float_twin")
    rewriting = Rewriting(KnownTensors(inferred(model).graph), prefix)
    nodes = [made for node in graph.node for made in _in_floats(node, rewriting)]
    del graph.value_info[:]
    rewriting.put(graph, nodes)
    return sum(_kernel(node) in KERNELS for node in graph.node)


def _in_floats(node: onnx.NodeProto, rewriting: Rewriting) -> Iterator[onnx.NodeProto]:
    kernel = KERNELS.get(_kernel(node))
    first = rewriting.known.dtype(node.input[0]) if node.input else None
    if kernel:
        yield from kernel(node, rewriting)
    elif rewriting.floats.intersection(node.input):
        yield from in_floats(node, rewriting)
    elif _kernel(node) in _SAME:
        node.domain = ""
        yield node
    elif node.op_type == "Cast" and first in _BYTES and _to(node) in _FLOATS:
        yield from rewriting.dequantised_into(node.output[0], node.input[0], _to(node))
    elif node.op_type == "Cast" and first in _BYTES and _to(node) in WIDE:
        rewriting.floats.add(node.output[0])
        yield from rewriting.dequantised_into(node.output[0], node.input[0], TensorProto.FLOAT)
    elif node.op_type in _OF_BYTES and first in _BYTES:
        yield from rewriting.around(node)
    else:
        yield node
