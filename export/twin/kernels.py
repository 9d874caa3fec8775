"""What each integer kernel computes, in float nodes with quantisation where the kernel has it.

A kernel takes whole numbers with their scales and zero points, and gives whole numbers, or floats.
The operators of ONNX: QLinearConv, QLinearMatMul, ConvInteger, MatMulInteger; of onnxruntime, in
the domain com.microsoft: QGemm, MatMulIntegerToFloat, DynamicQuantizeMatMul, and QLinear forms of
sums, products, activations, pools and concatenation.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import numpy as np
import onnx
from onnx import TensorProto

from rnascl_keras.export.gradient.definitions import SOFTMAX_OF_ONE_AXIS
from rnascl_keras.export.gradient.registry import attributes_of
from rnascl_keras.export.twin.rewriting import Rewriting

Kernel = Callable[[onnx.NodeProto, Rewriting], Iterator[onnx.NodeProto]]


KERNELS: dict[str, Kernel] = {}


def kernel(*names: str) -> Callable[[Kernel], Kernel]:
    """Register how these kernels are rewritten."""

    def register(function: Kernel) -> Kernel:
        KERNELS.update(dict.fromkeys(names, function))
        return function

    return register


@kernel("QLinearConv")
def qlinear_conv(node: onnx.NodeProto, rewriting: Rewriting) -> Iterator[onnx.NodeProto]:
    """y = (x * w + bias), all quantised; the bias in units of both scales."""
    x, x_scale, x_zero, w, w_scale, w_zero, scale, zero, bias = padded(node.input, 9)
    parts = [rewriting.dequantised(x, x_scale, x_zero), rewriting.dequantised(w, w_scale, w_zero)]
    if bias:  # int32, in units of x_scale * w_scale
        unit = rewriting.node("Mul", x_scale, w_scale)
        whole = rewriting.node("Cast", bias, to=TensorProto.FLOAT)
        parts.append(rewriting.node("Mul", whole, unit))
    made = rewriting.node("Conv", *parts, **attributes_of(node))
    rewriting.quantised(made, scale, zero, node.output[0])
    yield from rewriting.take()


@kernel("QLinearMatMul")
def qlinear_matmul(node: onnx.NodeProto, rewriting: Rewriting) -> Iterator[onnx.NodeProto]:
    """y = a b, all quantised."""
    a, a_scale, a_zero, b, b_scale, b_zero, scale, zero = padded(node.input, 8)
    left = rewriting.dequantised(a, a_scale, a_zero)
    right = rewriting.dequantised(b, b_scale, b_zero, axis=-1)
    rewriting.quantised(rewriting.node("MatMul", left, right), scale, zero, node.output[0])
    yield from rewriting.take()


@kernel("com.microsoft.QGemm")
def qgemm(node: onnx.NodeProto, rewriting: Rewriting) -> Iterator[onnx.NodeProto]:
    """y = alpha a b + c, quantised where the node has a scale of y, else in floats."""
    a, a_scale, a_zero, b, b_scale, b_zero, c, scale, zero = padded(node.input, 9)
    attributes = attributes_of(node)
    columns = 0 if attributes.get("transB") else 1
    parts = [
        rewriting.dequantised(a, a_scale, a_zero),
        rewriting.dequantised(b, b_scale, b_zero, axis=columns),
    ]
    alpha = attributes.get("alpha", 1.0)
    if c:  # int32, in units of alpha * a_scale * b_scale
        unit = rewriting.node("Mul", a_scale, b_scale)
        if alpha != 1.0:
            unit = rewriting.node("Mul", unit, rewriting.constant(np.array(alpha, np.float32)))
        whole = rewriting.node("Cast", c, to=TensorProto.FLOAT)
        parts.append(rewriting.node("Mul", whole, unit))
    made = rewriting.node("Gemm", *parts, **attributes)
    rewriting.quantised(made, scale, zero, node.output[0])
    yield from rewriting.take()


@kernel("ConvInteger")
def conv_integer(node: onnx.NodeProto, rewriting: Rewriting) -> Iterator[onnx.NodeProto]:
    """y = (x - x_zero) * (w - w_zero), in whole numbers."""
    x, w, x_zero, w_zero = padded(node.input, 4)
    parts = [rewriting.dequantised(x, zero=x_zero), rewriting.dequantised(w, zero=w_zero)]
    made = rewriting.node("Conv", *parts, output=node.output[0], **attributes_of(node))
    rewriting.floats.add(made)
    yield from rewriting.take()


@kernel("MatMulInteger")
def matmul_integer(node: onnx.NodeProto, rewriting: Rewriting) -> Iterator[onnx.NodeProto]:
    """y = (a - a_zero) (b - b_zero), in whole numbers."""
    a, b, a_zero, b_zero = padded(node.input, 4)
    left = rewriting.dequantised(a, zero=a_zero)
    right = rewriting.dequantised(b, zero=b_zero, axis=-1)
    rewriting.floats.add(rewriting.node("MatMul", left, right, output=node.output[0]))
    yield from rewriting.take()


@kernel("com.microsoft.MatMulIntegerToFloat", "com.microsoft.DynamicQuantizeMatMul")
def matmul_to_float(node: onnx.NodeProto, rewriting: Rewriting) -> Iterator[onnx.NodeProto]:
    """y = a b + bias in floats, b quantised; a is, too, or is as the kernel runs."""
    if node.op_type == "DynamicQuantizeMatMul":
        left, b, b_scale, b_zero, bias = padded(node.input, 5)
    else:
        a, b, a_scale, b_scale, a_zero, b_zero, bias = padded(node.input, 7)
        left = rewriting.dequantised(a, a_scale, a_zero)
    right = rewriting.dequantised(b, b_scale, b_zero, axis=-1)
    made = rewriting.node("MatMul", left, right)
    rewriting.node(*(("Add", made, bias) if bias else ("Identity", made)), output=node.output[0])
    yield from rewriting.take()


@kernel("com.microsoft.QLinearAdd", "com.microsoft.QLinearMul")
def qlinear_binary(node: onnx.NodeProto, rewriting: Rewriting) -> Iterator[onnx.NodeProto]:
    """A sum or a product, all quantised."""
    a, a_scale, a_zero, b, b_scale, b_zero, scale, zero = padded(node.input, 8)
    parts = [rewriting.dequantised(a, a_scale, a_zero), rewriting.dequantised(b, b_scale, b_zero)]
    made = rewriting.node(node.op_type.removeprefix("QLinear"), *parts)
    rewriting.quantised(made, scale, zero, node.output[0])
    yield from rewriting.take()


@kernel(
    "com.microsoft.QLinearSigmoid",
    "com.microsoft.QLinearLeakyRelu",
    "com.microsoft.QLinearSoftmax",
    "com.microsoft.QLinearGlobalAveragePool",
    "com.microsoft.QLinearAveragePool",
)
def qlinear_unary(node: onnx.NodeProto, rewriting: Rewriting) -> Iterator[onnx.NodeProto]:
    """An activation or a pool, quantised; of channels_last, with the channels as the last axis.

    Stays as it is where it takes these last of an unknown number of axes: onnx infers no shape of
    what an operator of onnxruntime's own gives. So does a softmax over several axes at once.
    """
    x, x_scale, x_zero, scale, zero = padded(node.input, 5)
    attributes = attributes_of(node)
    opset = attributes.pop("opset", SOFTMAX_OF_ONE_AXIS)
    shape = rewriting.known.shape(x)
    last = attributes.get("axis", -1) in (-1, len(shape or ()) - 1)
    swapped = bool(attributes.pop("channels_last", 0))
    if (swapped and shape is None) or (opset < SOFTMAX_OF_ONE_AXIS and not last):
        yield node
        return
    given = rewriting.dequantised(x, x_scale, x_zero)
    rank = len(shape or ())
    if swapped:
        given = rewriting.node("Transpose", given, perm=[0, rank - 1, *range(1, rank - 1)])
    made = rewriting.node(node.op_type.removeprefix("QLinear"), given, **attributes)
    if swapped:
        made = rewriting.node("Transpose", made, perm=[0, *range(2, rank), 1])
    rewriting.quantised(made, scale, zero, node.output[0])
    yield from rewriting.take()


@kernel("com.microsoft.QLinearConcat")
def qlinear_concat(node: onnx.NodeProto, rewriting: Rewriting) -> Iterator[onnx.NodeProto]:
    """Tensors of scales of their own, joined."""
    scale, zero, *given = node.input
    triples = zip(given[::3], given[1::3], given[2::3], strict=True)
    parts = [rewriting.dequantised(x, own, offset) for x, own, offset in triples]
    made = rewriting.node("Concat", *parts, **attributes_of(node))
    rewriting.quantised(made, scale, zero, node.output[0])
    yield from rewriting.take()


def padded(names: Sequence[str], count: int) -> list[str]:
    """Return the names, with "" for optional ones that are left out."""
    return [*names, *[""] * (count - len(names))]
