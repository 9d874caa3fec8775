"""Sigmoids that an exporter has written out in other operators, and 1 less a probability."""

from __future__ import annotations

import onnx

from rnascl_keras.export.gradient.known import KnownTensors
from rnascl_keras.export.gradient.registry import STANDARD


def sigmoid_written_out(node: onnx.NodeProto, known: KnownTensors) -> str:
    """Return z where a node makes 1 / (1 + exp(-z)), exp(z) / (1 + exp(z)), or the logarithm
    -softplus(-z) or z - softplus(z) of it; "" where it makes something else."""
    if node.op_type == "Reciprocal":
        return _opposite(_power(_one_added(node.input[0], known), known), known)
    if node.op_type == "Div":
        power = _one_added(node.input[1], known)
        if _is_one(node.input[0], known):
            return _opposite(_power(power, known), known)
        return _power(power, known) if power and node.input[0] == power else ""
    if node.op_type == "Neg":
        return _opposite(_input_of("Softplus", node.input[0], known), known)
    if node.op_type == "Sub" and _input_of("Softplus", node.input[1], known) == node.input[0]:
        return node.input[0]
    return ""


def falling_sigmoid(node: onnx.NodeProto, known: KnownTensors) -> str:
    """Return z where a node makes 1 / (1 + exp(z)); "" where it makes something else."""
    if node.op_type == "Div" and _is_one(node.input[0], known):
        return _power(_one_added(node.input[1], known), known)
    return ""


def taken_from_one(node: onnx.NodeProto, known: KnownTensors) -> str:
    """Return p where a node makes 1 - p; "" where it makes something else."""
    is_difference = node.op_type == "Sub" and _is_one(node.input[0], known)
    return node.input[1] if is_difference else ""


def _input_of(operator: str, name: str, known: KnownTensors) -> str:
    """Return what an operator of one input has made a tensor of, "" where another made it."""
    node = known.producers.get(name)
    fits = node is not None and node.domain in STANDARD and node.op_type == operator
    return node.input[0] if node is not None and fits else ""


def _power(name: str, known: KnownTensors) -> str:
    return _input_of("Exp", name, known)


def _one_added(name: str, known: KnownTensors) -> str:
    """Return x of 1 + x, either way round."""
    node = known.producers.get(name)
    if node is None or node.domain not in STANDARD or node.op_type != "Add":
        return ""
    for one, other in (node.input, node.input[::-1]):
        if _is_one(one, known):
            return other
    return ""


def _opposite(name: str, known: KnownTensors) -> str:
    """Return z of -z, which may be written as a product with -1."""
    if z := _input_of("Neg", name, known):
        return z
    node = known.producers.get(name)
    if node is None or node.domain not in STANDARD or node.op_type != "Mul":
        return ""
    for factor, other in (node.input, node.input[::-1]):
        value = known.value(factor)
        if value is not None and (value == -1).all():
            return other
    return ""


def _is_one(name: str, known: KnownTensors) -> bool:
    value = known.value(name)
    return value is not None and value.size > 0 and bool((value == 1).all())
