"""Rules of trigonometric and hyperbolic functions, and of their inverses."""

from __future__ import annotations

from rnascl_keras.export.gradient.graph import Tensor
from rnascl_keras.export.gradient.registry import unary


@unary("Sin")
def sine(g: Tensor, x: Tensor, y: Tensor) -> Tensor:
    return g * g.graph.op("Cos", x)


@unary("Cos")
def cosine(g: Tensor, x: Tensor, y: Tensor) -> Tensor:
    return -(g * g.graph.op("Sin", x))


@unary("Tan")
def tangent(g: Tensor, x: Tensor, y: Tensor) -> Tensor:
    return g * (1 + y * y)


@unary("Asin")
def arc_sine(g: Tensor, x: Tensor, y: Tensor) -> Tensor:
    return g / g.graph.op("Sqrt", 1 - x * x)


@unary("Acos")
def arc_cosine(g: Tensor, x: Tensor, y: Tensor) -> Tensor:
    return -(g / g.graph.op("Sqrt", 1 - x * x))


@unary("Atan")
def arc_tangent(g: Tensor, x: Tensor, y: Tensor) -> Tensor:
    return g / (1 + x * x)


@unary("Sinh")
def hyperbolic_sine(g: Tensor, x: Tensor, y: Tensor) -> Tensor:
    return g * g.graph.op("Cosh", x)


@unary("Cosh")
def hyperbolic_cosine(g: Tensor, x: Tensor, y: Tensor) -> Tensor:
    return g * g.graph.op("Sinh", x)


@unary("Tanh")
def hyperbolic_tangent(g: Tensor, x: Tensor, y: Tensor) -> Tensor:
    return g * (1 - y * y)


@unary("Asinh")
def area_hyperbolic_sine(g: Tensor, x: Tensor, y: Tensor) -> Tensor:
    return g / g.graph.op("Sqrt", 1 + x * x)


@unary("Acosh")
def area_hyperbolic_cosine(g: Tensor, x: Tensor, y: Tensor) -> Tensor:
    return g / g.graph.op("Sqrt", x * x - 1)


@unary("Atanh")
def area_hyperbolic_tangent(g: Tensor, x: Tensor, y: Tensor) -> Tensor:
    return g / (1 - x * x)
