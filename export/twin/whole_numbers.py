"""Whole numbers computed from the images, which are floats in the twin.

An integer product, or pixels cast to a wider type, is often moved, shifted or added to before it
becomes a float.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import onnx
from onnx import TensorProto

from rnascl_keras.export.gradient.registry import attributes_of
from rnascl_keras.export.twin.kernels import padded
from rnascl_keras.export.twin.rewriting import Rewriting

WIDE = {
    *(TensorProto.INT16, TensorProto.UINT16, TensorProto.INT32, TensorProto.UINT32),
    *(TensorProto.INT64, TensorProto.UINT64),
}
_FLOATS = {TensorProto.FLOAT, TensorProto.DOUBLE}
# of these the first input alone holds values, and of the others all
_MOVING = {"Flatten", "Gather", "Identity", "Reshape", "Slice", "Squeeze", "Transpose", "Unsqueeze"}
_EXACT = {"Add", "Concat", "Max", "Min", "Mul", "Neg", "Sub"}


def in_floats(node: onnx.NodeProto, rewriting: Rewriting) -> Iterator[onnx.NodeProto]:
    """Yield what a node does to whole numbers of which some are floats (`rewriting.floats`)."""
    whole = rewriting.floats
    first_only = node.input[0] in whole and not whole.intersection(node.input[1:])
    if node.op_type == "DequantizeLinear" and first_only and _is_clear(node, rewriting):
        _scale(node, rewriting)
    elif node.op_type == "Cast" and _to(node) in _FLOATS:
        yield node
    elif node.op_type == "Cast" and _to(node) in WIDE:
        whole.add(rewriting.node("Identity", node.input[0], output=node.output[0]))
    elif node.op_type in _EXACT or (node.op_type in _MOVING and first_only):
        inputs = list(node.input)
        if node.op_type in _EXACT:
            inputs = [x if x in whole else _as_float(x, rewriting) for x in inputs]
        made = rewriting.node(node.op_type, *inputs, output=node.output[0], **attributes_of(node))
        whole.add(made)
    else:
        inputs = [_as_whole(x, rewriting) if x in whole else x for x in node.input]
        yield from rewriting.take()
        del node.input[:]
        node.input.extend(inputs)
        yield node
    yield from rewriting.take()


def _is_clear(node: onnx.NodeProto, rewriting: Rewriting) -> bool:
    """Whether it is known how many axes lie behind the one that a DequantizeLinear scales along.

    What an operator of onnxruntime's own has a part in has no inferred shape.
    """
    scale, shape = node.input[1], rewriting.known.shape(node.input[0])
    return shape is not None or _axis(node) < 0 or not rewriting.is_vector(scale)


def _scale(node: onnx.NodeProto, rewriting: Rewriting) -> None:
    """Make x * scale: of 32 bits the zero point is 0."""
    x, scale, _ = padded(node.input, 3)
    axis = _axis(node)
    if rewriting.is_vector(scale):
        behind = -1 - axis if axis < 0 else len(rewriting.known.shape(x) or ()) - 1 - axis
        # (channels,) -> (channels, 1, .., 1)
        shape = rewriting.constant(np.array([-1, *[1] * behind]))
        scale = rewriting.node("Reshape", scale, shape)
    rewriting.node("Mul", x, scale, output=node.output[0])


def _axis(node: onnx.NodeProto) -> int:
    return attributes_of(node).get("axis", 1)


def _to(node: onnx.NodeProto) -> int:
    return attributes_of(node)["to"]


def _as_float(x: str, rewriting: Rewriting) -> str:
    return rewriting.node("Cast", x, to=TensorProto.FLOAT)


def _as_whole(x: str, rewriting: Rewriting) -> str:
    return rewriting.node("Cast", x, to=rewriting.known.dtype(x) or TensorProto.INT32)
