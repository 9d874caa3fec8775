"""Rules of operators with several broadcast operands."""

from __future__ import annotations

from functools import reduce

from rnascl_keras.export.gradient.broadcasting import sum_to
from rnascl_keras.export.gradient.graph import Tensor
from rnascl_keras.export.gradient.registry import Step, rule


def _by_operand(step: Step, gradients: dict[int, Tensor]) -> dict[int, Tensor]:
    """Sum gradients in the output's shape to each operand's."""
    y = step.output()
    return {i: sum_to(g, step.input(i), y) for i, g in gradients.items()}


@rule("Add", "Sum", inputs=None)
def add(step: Step) -> dict[int, Tensor]:
    return _by_operand(step, {i: step.gradient for i in step.wanted})


@rule("Mean", inputs=None)
def mean(step: Step) -> dict[int, Tensor]:
    share = step.gradient / len(step.node.input)
    return _by_operand(step, {i: share for i in step.wanted})


@rule("Sub", inputs=None)
def subtract(step: Step) -> dict[int, Tensor]:
    g = step.gradient
    return _by_operand(step, {i: -g if i else g for i in step.wanted})


@rule("Mul", inputs=None)
def multiply(step: Step) -> dict[int, Tensor]:
    return _by_operand(step, {i: step.gradient * step.input(1 - i) for i in step.wanted})


@rule("Div", inputs=None)
def divide(step: Step) -> dict[int, Tensor]:
    by_numerator = step.gradient / step.input(1)
    gradients = {0: by_numerator}
    if 1 in step.wanted:
        gradients[1] = -(by_numerator * step.output())
    return _by_operand(step, {i: gradients[i] for i in step.wanted})


@rule("Pow", inputs=None)
def power(step: Step) -> dict[int, Tensor]:
    g, base, y = step.gradient, step.input(), step.output()
    exponent = step.input(1).cast(base.dtype)
    gradients = {}
    if 0 in step.wanted:
        gradients[0] = g * exponent * step.graph.op("Pow", base, exponent - 1)
    if 1 in step.wanted:
        gradients[1] = g * y * step.graph.op("Log", base)
    return _by_operand(step, gradients)


@rule("Mod")
def remainder(step: Step) -> dict[int, Tensor]:
    """By the number that is divided; the quotient is constant almost everywhere."""
    return _by_operand(step, {0: step.gradient})


@rule("Max", "Min", inputs=None)
def extremum(step: Step) -> dict[int, Tensor]:
    """Operands that tie share the gradient equally."""
    y = step.output()
    hits = [step.input(i).equals(y).cast(y.dtype) for i in range(len(step.node.input))]
    share = step.gradient / reduce(Tensor.__add__, hits)
    return _by_operand(step, {i: share * hits[i] for i in step.wanted})


@rule("Where", inputs=(1, 2))
def where(step: Step) -> dict[int, Tensor]:
    g, condition = step.gradient, step.input()
    branches = {1: lambda: condition.where(g, 0), 2: lambda: condition.where(0, g)}
    return _by_operand(step, {i: branches[i]() for i in step.wanted})


@rule("Expand")
def expand(step: Step) -> dict[int, Tensor]:
    return _by_operand(step, {0: step.gradient})


@rule("PRelu", inputs=None)
def prelu(step: Step) -> dict[int, Tensor]:
    g, x, slope = step.gradient, step.input(), step.input(1)
    gradients = {}
    if 0 in step.wanted:
        gradients[0] = (x > 0).where(g, g * slope)
    if 1 in step.wanted:
        gradients[1] = (x > 0).where(0, g * x)
    return _by_operand(step, gradients)
