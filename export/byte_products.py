"""Whether a file answers otherwise on this processor than on others, for its products of bytes.

onnxruntime multiplies unsigned bytes by signed ones and adds pairs of products. x86 processors
without VNNI add them in 16 bits: what does not fit is clamped, in silence, and a file's accuracy
with it. Pairs of weights of at most 64 always fit, for 2 x 255 x 64 = 32,640 < 2^15.
"""

from __future__ import annotations

import functools
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from rnascl_keras.export.onnx_session import CPU, SessionMaker

FITS = 64
"""The largest size of a signed weight of which no pair of products is ever clamped."""


def saturates(model: onnx.ModelProto) -> bool:
    """Return whether products of bytes in the model may be clamped on this processor.

    Args:
        model: as onnxruntime will run it.
    """
    return _may_saturate(model.graph) and products_saturate()


@functools.cache
def products_saturate() -> bool:
    """Return whether onnxruntime clamps products of bytes here: asked of a sum of two of them."""
    value, weights = np.full((1, 2), 255, np.uint8), np.full((2, 1), 127, np.int8)
    graph = helper.make_graph(
        [helper.make_node("MatMulInteger", ["value", "weights"], ["sum"])],
        "product",
        [helper.make_tensor_value_info("value", TensorProto.UINT8, value.shape)],
        [helper.make_tensor_value_info("sum", TensorProto.INT32, (1, 1))],
        [numpy_helper.from_array(weights, "weights")],
    )
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    session = SessionMaker(Path("product of bytes"), 1, [CPU]).open(made)
    (found,) = session.run(["sum"], {"value": value})
    return int(found.item()) != 2 * 255 * 127


def _may_saturate(graph: onnx.GraphProto) -> bool:
    """Return whether the graph has signed weights of which a pair of products may not fit."""
    kept = {tensor.name: tensor for tensor in graph.initializer}
    kept |= {
        node.output[0]: attribute.t
        for node in graph.node
        if node.op_type == "Constant"
        for attribute in node.attribute
        if attribute.name == "value"
    }
    if any(_large(tensor) for tensor in kept.values()):
        return True
    # weights that lie there as floats, and become signed bytes when the file is opened
    signed = {name for name, tensor in kept.items() if tensor.data_type == TensorProto.INT8}
    return any(
        node.op_type == "QuantizeLinear" and node.input[0] in kept and node.input[-1] in signed
        for node in graph.node
    )


def _large(tensor: TensorProto) -> bool:
    """Return whether these are signed weights, and one of them is larger than `FITS`."""
    if tensor.data_type != TensorProto.INT8 or len(tensor.dims) < 2:  # zero points are no weights
        return False
    values = numpy_helper.to_array(tensor).astype(np.int16)
    return bool(np.abs(values).max(initial=0) > FITS)
