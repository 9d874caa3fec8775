"""The softmax that many classifiers end with; attacks go to the tensor before it."""

from __future__ import annotations

import onnx
from onnx import helper

from rnascl_keras.export.gradient.known import KnownTensors

_SOFTMAX = ("Softmax", "LogSoftmax")
# What may follow the softmax: nothing that mixes classes.
_SHAPE_ONLY = {"Flatten", "Reshape", "Squeeze"}
_FOR_PROBABILITIES = {"DequantizeLinear", "QuantizeLinear"}
_TRAILING = {"Cast", "Identity"} | _SHAPE_ONLY | _FOR_PROBABILITIES


def final_softmax(graph: onnx.GraphProto) -> list[onnx.NodeProto]:
    """Return the nodes from the softmax (or its logarithm) to the first output, the softmax first;
    none where the output comes from something else.

    Args:
        graph: with inferred shapes; the softmax must be over what the output calls classes.
    """
    known = KnownTensors(graph)
    trail: list[onnx.NodeProto] = []
    name = graph.output[0].name
    while name in known.producers and len(trail) < len(graph.node):
        node = known.producers[name]
        trail.append(node)
        if node.op_type in _SOFTMAX and node.domain in ("", "ai.onnx"):
            return trail[::-1] if _is_over_classes(trail[::-1], known) else []
        if node.op_type not in _TRAILING or not node.input:
            break
        name = node.input[0]
    return []


def without_final_softmax(model: onnx.ModelProto) -> onnx.ModelProto | None:
    """Return a copy of `model` whose first output is the logits, by a softmax that does nothing;
    None where it does not end in one.

    Args:
        model: with inferred shapes.
    """
    if not final_softmax(model.graph):
        return None
    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    for node in final_softmax(copy.graph):
        if node.op_type in _FOR_PROBABILITIES.union(_SOFTMAX):
            node.op_type = "Identity"
            del node.attribute[:], node.input[1:]
    # those after the softmax can have changed their type
    del copy.graph.value_info[:]
    return copy


def _is_over_classes(trail: list[onnx.NodeProto], known: KnownTensors) -> bool:
    """Whether the softmax at the start of `trail` leaves one distribution for each image."""
    axes = [helper.get_attribute_value(a) for a in trail[0].attribute if a.name == "axis"]
    # -1 from opset 13 on, before that 1: the same for the two axes of logits
    axis = axes[0] if axes else -1
    before, after = known.shape(trail[0].input[0]), known.shape(trail[-1].output[0])
    if not any(node.op_type in _SHAPE_ONLY for node in trail):
        return axis in (1, -1) and (before is None or len(before) == 2)
    if before is None or after is None or len(after) != 2 or not -len(before) <= axis < len(before):
        return False
    return isinstance(after[1], int) and before[axis] == after[1]
