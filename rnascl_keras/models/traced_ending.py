"""The softmax or sigmoid that a traced function ends in, where a model's layers do not show it."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import tensorflow as tf

FUNCTIONS = {"Softmax": "softmax", "Sigmoid": "sigmoid"}
_SAME_NUMBERS = frozenset(
    {"Identity", "IdentityN", "Reshape", "Squeeze", "ExpandDims", "Cast", "EnsureShape"}
    | {"StopGradient", "CheckNumerics"}
)
_CALLS = frozenset({"PartitionedCall", "StatefulPartitionedCall"})


def traced_ending(graph: tf.Graph) -> str | None:
    """Return which function the first output of a traced function comes from, "softmax" or
    "sigmoid", with nothing behind it that changes numbers; else None."""
    tensor = graph.outputs[0]
    while True:
        operation, index = tensor.op, tensor.value_index
        if operation.type in FUNCTIONS:
            return FUNCTIONS[operation.type]
        if operation.type in _CALLS:
            # no public call leads from the name of a function to its graph
            inner = graph._functions[operation.get_attr("f").name].graph
            tensor, graph = inner.outputs[index], inner
        elif operation.type in _SAME_NUMBERS:
            tensor = operation.inputs[index if operation.type == "IdentityN" else 0]
        else:
            return None
