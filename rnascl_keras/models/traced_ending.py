"""The softmax or sigmoid that a traced function ends in, where a model's layers do not show it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import tensorflow as tf

FUNCTIONS = {"Softmax": "softmax", "Sigmoid": "sigmoid"}
_SAME_NUMBERS = frozenset(
    {"Identity", "IdentityN", "Reshape", "Squeeze", "ExpandDims", "Cast", "EnsureShape"}
    | {"StopGradient", "CheckNumerics", "Transpose"}
)
_COMBINING = frozenset(
    {"Add", "AddV2", "AddN", "Sub", "Mul", "RealDiv", "Neg", "Square", "Pow"}
    | {"Mean", "Sum", "Max", "Min", "Prod", "Maximum", "Minimum", "AvgPool", "MaxPool"}
    | {"ConcatV2", "Pack", "Pad", "PadV2", "StridedSlice", "GatherV2", "ClipByValue"}
    | {"Round", "Rint", "Floor", "Ceil"}
)
"""What makes of probabilities numbers that stay where these do: such as their average."""
_CALLS = frozenset({"PartitionedCall", "StatefulPartitionedCall"})
_PRODUCTS = frozenset({"Mul", "RealDiv", "Pow", "Prod"})
_CONSTANT, _VARIABLE = "constant", "variable"


def traced_ending(graph: tf.Graph) -> str | None:
    """Return which function the first output of a traced function comes from, "softmax" or
    "sigmoid", with nothing behind it but arithmetic on such answers and fixed numbers, or None."""
    found = _ending(graph.outputs[0], graph, {})
    return None if found in (_CONSTANT, _VARIABLE) else found


def _ending(tensor: Any, graph: Any, known: dict[int, str | None]) -> str | None:
    """Return the name of a function, `_CONSTANT` or `_VARIABLE` of what no image changes, or None.

    Args:
        tensor: of `graph`.
        known: what was found of tensors before, by their ids: one can be taken many times.
    """
    if id(tensor) not in known:
        known[id(tensor)] = _found(tensor, graph, known)
    return known[id(tensor)]


def _found(tensor: Any, graph: Any, known: dict[int, str | None]) -> str | None:
    operation = tensor.op
    kind, inputs = operation.type, operation.inputs
    if kind == "Const" or tensor.dtype.is_integer:  # axes and sizes are integers
        return _CONSTANT
    if kind == "ReadVariableOp":
        return _VARIABLE
    if kind in FUNCTIONS:
        taken = _ending(inputs[0], graph, known)
        return taken if taken in (_CONSTANT, _VARIABLE) else FUNCTIONS[kind]
    if kind in _CALLS:
        # no public call leads from the name of a function to its graph
        inner = graph._functions[operation.get_attr("f").name].graph
        return _ending(inner.outputs[tensor.value_index], inner, known)
    if kind in _SAME_NUMBERS:
        return _ending(inputs[tensor.value_index if kind == "IdentityN" else 0], graph, known)
    if kind not in _COMBINING:
        return None
    parts = [_ending(part, graph, known) for part in inputs]
    if None in parts or (kind in _PRODUCTS and _VARIABLE in parts):  # by learned weights: a layer
        return None
    return next((one for one in (*FUNCTIONS.values(), _VARIABLE) if one in parts), _CONSTANT)
