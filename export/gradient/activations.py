"""Rules of functions of single values. At a kink the gradient is that of the flat side, but for
Clip, which passes it on at its bounds: images lie on the bounds 0 and 1."""

from __future__ import annotations

import math

from onnx import TensorProto

from rnascl_keras.export.gradient.graph import Tensor
from rnascl_keras.export.gradient.registry import Step, Unsupported, rule, unary


@unary("Identity")
def identity(g: Tensor, x: Tensor, y: Tensor) -> Tensor:
    return g


@unary("Neg")
def negate(g: Tensor, x: Tensor, y: Tensor) -> Tensor:
    return -g


@unary("Abs")
def absolute(g: Tensor, x: Tensor, y: Tensor) -> Tensor:
    return g * g.graph.op("Sign", x)


@unary("Sqrt")
def square_root(g: Tensor, x: Tensor, y: Tensor) -> Tensor:
    return g / (2 * y)


@unary("Reciprocal")
def reciprocal(g: Tensor, x: Tensor, y: Tensor) -> Tensor:
    return -(g * y * y)


@unary("Exp")
def exponential(g: Tensor, x: Tensor, y: Tensor) -> Tensor:
    return g * y


@unary("Log")
def logarithm(g: Tensor, x: Tensor, y: Tensor) -> Tensor:
    return g / x


@unary("Erf")
def error_function(g: Tensor, x: Tensor, y: Tensor) -> Tensor:
    return g * (2 / math.sqrt(math.pi)) * g.graph.op("Exp", -(x * x))


@unary("Sigmoid")
def sigmoid(g: Tensor, x: Tensor, y: Tensor) -> Tensor:
    return g * y * (1 - y)


@unary("Softplus")
def softplus(g: Tensor, x: Tensor, y: Tensor) -> Tensor:
    return g * g.graph.op("Sigmoid", x)


@unary("Relu")
def relu(g: Tensor, x: Tensor, y: Tensor) -> Tensor:
    # of y, not x: onnxruntime fuses a Relu only where nothing else reads its input
    if y.dtype != TensorProto.FLOAT:
        return g * g.graph.op("Sign", y)
    # 1 from the least normal number on; onnxruntime's Sign takes four times as long
    return g * g.graph.op("HardSigmoid", y, alpha=1e38, beta=0.0)


@rule("LeakyRelu")
def leaky_relu(step: Step) -> dict[int, Tensor]:
    g = step.gradient
    return {0: (step.input() > 0).where(g, g * step.attribute("alpha"))}


@rule("Elu")
def elu(step: Step) -> dict[int, Tensor]:
    g, alpha = step.gradient, step.attribute("alpha")
    # alpha exp(x) is y + alpha
    return {0: (step.input() > 0).where(g, g * (step.output() + alpha))}


@rule("HardSigmoid")
def hard_sigmoid(step: Step) -> dict[int, Tensor]:
    g, y = step.gradient, step.output()
    inside = g.graph.op("And", y > 0, y < 1)
    return {0: inside.where(g * step.attribute("alpha"), 0)}


@rule("Clip")
def clip(step: Step) -> dict[int, Tensor]:
    g, x = step.gradient, step.input()
    if step.has(1):
        g = (x >= step.input(1)).where(g, 0)
    if step.has(2):
        g = (x <= step.input(2)).where(g, 0)
    return {0: g}


@rule("Dropout")
def dropout(step: Step) -> dict[int, Tensor]:
    if step.has(2) and step.constant(2):
        raise Unsupported("it is in training mode")
    return {0: step.gradient}


@rule("Cast")
def cast(step: Step) -> dict[int, Tensor]:
    g, to = step.gradient, step.attribute("to")
    if not {to, step.input().dtype} <= {TensorProto.FLOAT, TensorProto.DOUBLE}:
        raise Unsupported("it converts from or to another type than float32 and float64")
    return {0: g.cast(step.input().dtype)}
