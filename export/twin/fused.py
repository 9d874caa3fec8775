"""What onnxruntime's fused operators compute, in the standard operators that they were made of.

Files that onnxruntime has optimised and saved hold them, in the domain com.microsoft: FusedConv,
FusedGemm, FusedMatMul, SkipLayerNormalization, and forms of GELU.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto

from rnascl_keras.export.gradient.registry import attributes_of
from rnascl_keras.export.twin.kernels import kernel, padded
from rnascl_keras.export.twin.rewriting import Rewriting

# an activation's parameters, in the order in which FusedConv gives them
_PARAMETERS = {
    "Clip": ("min", "max"),
    "Elu": ("alpha",),
    "HardSigmoid": ("alpha", "beta"),
    "LeakyRelu": ("alpha",),
    "Selu": ("alpha", "gamma"),
    "ThresholdedRelu": ("alpha",),
}


@kernel("com.microsoft.FusedConv")
def fused_conv(node: onnx.NodeProto, rewriting: Rewriting) -> Iterator[onnx.NodeProto]:
    """y = activation(x * w + bias + z)."""
    x, w, bias, z = padded(node.input, 4)
    attributes = attributes_of(node)
    activation = attributes.pop("activation", b"").decode()
    order, values = _PARAMETERS.get(activation, ()), attributes.pop("activation_params", ())
    made = rewriting.node("Conv", x, w, *([bias] if bias else []), **attributes)
    if z:
        made = rewriting.node("Add", made, z)
    parameters = dict(zip(order, values, strict=False))
    _activate(rewriting, node, made, activation, parameters)
    yield from rewriting.take()


@kernel("com.microsoft.FusedGemm")
def fused_gemm(node: onnx.NodeProto, rewriting: Rewriting) -> Iterator[onnx.NodeProto]:
    """y = activation(alpha a b + beta c)."""
    attributes = attributes_of(node)
    activation = attributes.pop("activation", b"").decode()
    given = {
        name: attributes.pop(f"activation_{name}", None) for name in ("alpha", "beta", "gamma")
    }
    # those of other activations can be given, too
    known = _PARAMETERS.get(activation, ())
    parameters = {name: given[name] for name in known if given.get(name) is not None}
    made = rewriting.node("Gemm", *node.input, **attributes)
    _activate(rewriting, node, made, activation, parameters)
    yield from rewriting.take()


@kernel("com.microsoft.FusedMatMul", "com.microsoft.TransposeMatMul")
def fused_matmul(node: onnx.NodeProto, rewriting: Rewriting) -> Iterator[onnx.NodeProto]:
    """y = alpha a' b', where ' swaps the last two axes or does nothing."""
    attributes = attributes_of(node)
    shapes = [rewriting.known.shape(name) for name in node.input]
    swapped = [bool(attributes.get(name)) for name in ("transA", "transB")]
    unclear = any(swap and shape is None for swap, shape in zip(swapped, shapes, strict=True))
    if unclear or attributes.get("transBatchA") or attributes.get("transBatchB"):
        yield node
        return
    parts = list(node.input)
    for k, shape in enumerate(shapes):
        if swapped[k] and shape is not None and len(shape) > 1:
            *others, rows, columns = range(len(shape))
            parts[k] = rewriting.node("Transpose", parts[k], perm=[*others, columns, rows])
    product = rewriting.node("MatMul", *parts)
    alpha = _number(rewriting, node, attributes.get("alpha", 1.0))
    rewriting.node("Mul", product, alpha, output=node.output[0])
    yield from rewriting.take()


@kernel("com.microsoft.SkipLayerNormalization")
def skip_layer_normalization(
    node: onnx.NodeProto, rewriting: Rewriting
) -> Iterator[onnx.NodeProto]:
    """The sum of x, a second tensor and a bias, normalised; as a fourth output, that sum."""
    x, skip, scale, offset, bias = padded(node.input, 5)
    total = rewriting.node("Add", x, skip)
    if bias:
        total = rewriting.node("Add", total, bias)
    if len(node.output) > 3 and node.output[3]:
        rewriting.node("Identity", total, output=node.output[3])
    parts = [total, scale, *([offset] if offset else [])]
    epsilon = attributes_of(node).get("epsilon", 1e-12)
    rewriting.node("LayerNormalization", *parts, output=node.output[0], epsilon=epsilon)
    yield from rewriting.take()


@kernel("com.microsoft.Gelu", "com.microsoft.BiasGelu")
def gelu(node: onnx.NodeProto, rewriting: Rewriting) -> Iterator[onnx.NodeProto]:
    """y = x (1 + erf(x / sqrt 2)) / 2, after a bias is added."""
    x = _biased(node, rewriting)
    inner = rewriting.node("Erf", rewriting.node("Mul", x, _number(rewriting, node, 0.5**0.5)))
    _half_of(rewriting, node, x, inner)
    yield from rewriting.take()


@kernel("com.microsoft.FastGelu")
def fast_gelu(node: onnx.NodeProto, rewriting: Rewriting) -> Iterator[onnx.NodeProto]:
    """y = x (1 + tanh(sqrt(2 / pi) (x + 0.044715 x^3))) / 2, after a bias is added."""
    x = _biased(node, rewriting)
    square = rewriting.node("Mul", x, x)
    scaled = rewriting.node("Mul", square, _number(rewriting, node, 0.044715))
    factor = rewriting.node("Add", scaled, _number(rewriting, node, 1.0))
    odd = rewriting.node("Mul", x, factor)
    inner = rewriting.node("Mul", odd, _number(rewriting, node, (2 / np.pi) ** 0.5))
    _half_of(rewriting, node, x, rewriting.node("Tanh", inner))
    yield from rewriting.take()


@kernel("com.microsoft.QuickGelu")
def quick_gelu(node: onnx.NodeProto, rewriting: Rewriting) -> Iterator[onnx.NodeProto]:
    """y = x sigmoid(alpha x); with alpha 1 it is SiLU."""
    alpha = _number(rewriting, node, attributes_of(node).get("alpha", 1.702))
    gate = rewriting.node("Sigmoid", rewriting.node("Mul", node.input[0], alpha))
    rewriting.node("Mul", node.input[0], gate, output=node.output[0])
    yield from rewriting.take()


def _activate(
    rewriting: Rewriting,
    node: onnx.NodeProto,
    x: str,
    activation: str,
    parameters: Mapping[str, Any],
) -> None:
    """Make what the node gives: an activation by name, with its parameters, of x."""
    name = activation or "Identity"
    if name == "Clip":
        bounds = (_number(rewriting, node, value) for value in parameters.values())
        rewriting.node(name, x, *bounds, output=node.output[0])
    else:
        rewriting.node(name, x, output=node.output[0], **parameters)


def _biased(node: onnx.NodeProto, rewriting: Rewriting) -> str:
    x, bias = padded(node.input, 2)
    return rewriting.node("Add", x, bias) if bias else x


def _half_of(rewriting: Rewriting, node: onnx.NodeProto, x: str, inner: str) -> None:
    """Make what the node gives: x (1 + inner) / 2."""
    factor = rewriting.node("Add", inner, _number(rewriting, node, 1.0))
    whole = rewriting.node("Mul", x, factor)
    rewriting.node("Mul", whole, _number(rewriting, node, 0.5), output=node.output[0])


def _number(rewriting: Rewriting, node: onnx.NodeProto, value: float) -> str:
    """Return a constant of the type of what the node takes."""
    x = node.input[0]
    if rewriting.known.dtype(x) == TensorProto.FLOAT:
        return rewriting.constant(np.array(value, np.float32))
    # onnx does not know the type of what another fused operator gives
    return rewriting.node("CastLike", rewriting.constant(np.array(value, np.float64)), x)
