"""Straight-through rules of quantised tensors.

Rounding has no gradient worth following, so it is taken for the identity (Bengio et al., 2013).
Clipping has one: outside the range that the quantised type can represent the gradient is 0.
Quantisers drop each ReLU whose work this clipping does, so a gradient without it would be that of
another, linear network, and the file would look more robust than it is.
"""

from __future__ import annotations

import numpy as np
from onnx import TensorProto, helper

from rnascl_keras.export.gradient.graph import Tensor
from rnascl_keras.export.gradient.registry import Step, Unsupported, rule

_RANGES: dict[int, tuple[int, int]] = {
    TensorProto.UINT8: (0, 255),
    TensorProto.INT8: (-128, 127),
    TensorProto.UINT16: (0, 65535),
    TensorProto.INT16: (-32768, 32767),
}


@rule("DequantizeLinear")
def dequantize(step: Step) -> dict[int, Tensor]:
    return {0: step.gradient * _along_axis(step, step.input(1))}


@rule("QuantizeLinear")
def quantize(step: Step) -> dict[int, Tensor]:
    """1 / scale where the values lie between the least and the greatest representable, both
    included, else 0."""
    graph, g, x = step.graph, step.gradient, step.input()
    quantised = step.output().dtype
    if quantised not in _RANGES:
        name = helper.tensor_dtype_to_string(quantised)
        raise Unsupported(f"its type {name} is none of 8 or 16 bits")
    scale = _along_axis(step, step.input(1))
    zero = _along_axis(step, step.input(2)).cast(x.dtype) if step.has(2) else 0
    low, high = ((bound - zero) * scale for bound in _RANGES[quantised])
    # onnxruntime's Where takes several times as long as a product
    inside = graph.op("And", x >= low, x <= high).cast(g.dtype)
    return {0: g * inside / scale}


@rule("DynamicQuantizeLinear")
def dynamic_quantize(step: Step) -> dict[int, Tensor]:
    """1 / scale: the range is made from the values, so that none is outside.

    That the scale and the zero point depend on the values makes no difference but by rounding:
    scale * (x / scale) is x whatever the scale.
    """
    if step.gradients[0] is None:
        raise Unsupported("its scale or zero point alone is used")
    return {0: step.gradients[0] / step.output(1)}


def _along_axis(step: Step, x: Tensor) -> Tensor:
    """Shape a scale or zero point, one or one a channel, to broadcast along its axis."""
    if step.attribute("block_size"):
        raise Unsupported("it is quantised by blocks")
    if x.shape is None:
        raise Unsupported("its scale's shape is unknown")
    if int(np.prod([size for size in x.shape if isinstance(size, int)])) == 1:
        return x
    rank = step.rank()
    axis = step.attribute("axis", 1) % rank
    # (channels,) -> (channels, 1, .., 1)
    return x.reshape([-1, *[1] * (rank - 1 - axis)])
