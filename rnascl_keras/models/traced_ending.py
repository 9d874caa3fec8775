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
_CONSTANTS = frozenset({"Const", "ReadVariableOp"})
_CONSTANT = "constant"


def traced_ending(graph: tf.Graph) -> str | None:
    """Return which function the first output of a traced function comes from, "softmax" or
    "sigmoid", with nothing behind it but arithmetic on such answers and constants; else None."""
    found = _ending(graph.outputs[0], graph, {})
    return None if found == _CONSTANT else found


def _ending(tensor: Any, graph: Any, known: dict[int, str | None]) -> str | None:
    """Return the name of a function, `_CONSTANT` of what no image changes, or None.

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
    if kind in _CONSTANTS or tensor.dtype.is_integer:  # axes and sizes are integers
        return _CONSTANT
    if kind in FUNCTIONS:
        of_constant = _ending(inputs[0], graph, known) == _CONSTANT
        return _CONSTANT if of_constant else FUNCTIONS[kind]
    if kind in _CALLS:
        # no public call leads from the name of a function to its graph
        inner = graph._functions[operation.get_attr("f").name].graph
        return _ending(inner.outputs[tensor.value_index], inner, known)
    if kind in _SAME_NUMBERS:
        return _ending(inputs[tensor.value_index if kind == "IdentityN" else 0], graph, known)
    if kind not in _COMBINING:
        return None
    parts = [_ending(part, graph, known) for part in inputs]
    if None in parts:
        return None
    return next((part for part in parts if part != _CONSTANT), _CONSTANT)
