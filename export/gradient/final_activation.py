"""The softmax or the sigmoids that many classifiers end with; attacks go to the tensor before them.

Where a model is sure, both are flat in float32, and so is a tanh: their gradient vanishes, and what
is attacked through them looks robust (Carlini and Wagner, 2017, section V).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import onnx
from onnx import helper

from rnascl_keras.export.gradient.known import KnownTensors
from rnascl_keras.export.gradient.registry import STANDARD, attributes_of
from rnascl_keras.export.gradient.written_out import sigmoid_written_out

SOFTMAX, SIGMOID, TANH = "softmax", "sigmoid", "tanh"
_ACTIVATIONS = {
    "Softmax": SOFTMAX,
    "LogSoftmax": SOFTMAX,
    "Sigmoid": SIGMOID,
    "Tanh": TANH,
}
LOGARITHMS = {"LogSoftmax", "Neg", "Sub"}
"""What an activation ends in whose numbers are the logarithms of probabilities."""
# What may follow: nothing that mixes classes, and nothing that changes their order.
SAME_NUMBERS = {"Flatten", "Identity", "Reshape", "Squeeze", "Unsqueeze"}
SHAPE_ONLY = {"Cast"} | SAME_NUMBERS
_ONE_BY_ONE = {"Clip", "DequantizeLinear", "Log", "QuantizeLinear"}
_WITH_A_NUMBER_SECOND = {"Div", "Sub"}
_WITH_A_NUMBER = {"Add", "Max", "Min", "Mul"} | _WITH_A_NUMBER_SECOND


@dataclass(frozen=True)
class FinalActivation:
    """How a graph ends.

    Attributes:
        kind: "softmax", "sigmoid" or "tanh".
        logits: the tensor that goes into it.
        trail: from the activation to the first output, the activation first: each node, and which
            of its inputs holds the scores.
    """

    kind: str
    logits: str
    trail: list[tuple[onnx.NodeProto, str]]


def final_activation(graph: onnx.GraphProto, name: str | None = None) -> FinalActivation | None:
    """Return the activation that turns logits into a tensor; None where there is none.

    Its logarithm counts, and so do clipping and scaling after it.

    Args:
        graph: with inferred shapes; a softmax must be over what the tensor calls classes.
        name: of the tensor, by default the first output.
    """
    known = KnownTensors(graph)
    trail: list[tuple[onnx.NodeProto, str]] = []
    name = graph.output[0].name if name is None else name
    while name in known.producers and len(trail) < len(graph.node):
        node = known.producers[name]
        found = activation_of(node, known)
        if found:
            kind, logits = found
            trail.insert(0, (node, logits))
            fits = kind != SOFTMAX or _is_over_classes([n for n, _ in trail], logits, known)
            return FinalActivation(kind, logits, trail) if fits else None
        name = in_same_order(node, known)
        trail.insert(0, (node, name))
    return None


def without_final_activation(model: onnx.ModelProto) -> onnx.ModelProto | None:
    """Return a copy of `model` whose first output is the logits, by an activation that does
    nothing; None where it does not end in one.

    Args:
        model: with inferred shapes.
    """
    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    found = final_activation(copy.graph)
    if found is None:
        return None
    dtype = KnownTensors(copy.graph).dtype(found.logits)
    # what makes probabilities whole numbers of 0 to 255 would make logits those, too
    kept = SAME_NUMBERS if dtype else SHAPE_ONLY
    for k, (node, scores) in enumerate(found.trail):
        if k == 0 or node.op_type not in kept:
            node.CopyFrom(helper.make_node("Identity", [scores], list(node.output)))
    # those after it can have changed their type
    del copy.graph.value_info[:]
    if dtype:
        copy.graph.output[0].type.tensor_type.elem_type = dtype
    return copy


def activation_of(node: onnx.NodeProto, known: KnownTensors) -> tuple[str, str] | None:
    """Return the kind and the logits where `node` is the last of an activation."""
    if node.domain not in STANDARD:
        return None
    if node.op_type in _ACTIVATIONS:
        return _ACTIVATIONS[node.op_type], node.input[0]
    if node.op_type == "Exp":  # of a log-softmax
        before = known.producers.get(node.input[0])
        if before is None or before.op_type != "LogSoftmax":
            return None
        return SOFTMAX, before.input[0]
    if z := sigmoid_written_out(node, known):
        return SIGMOID, z
    if node.op_type != "Div":
        return None
    # a softmax written out: exp(z) / sum exp(z)
    powers, total = (known.producers.get(name) for name in node.input)
    if powers is None or total is None or (powers.op_type, total.op_type) != ("Exp", "ReduceSum"):
        return None
    if total.input[0] != node.input[0] or _summed_axis(total, known) is None:
        return None
    return SOFTMAX, powers.input[0]


def in_same_order(node: onnx.NodeProto, known: KnownTensors) -> str:
    """Return the tensor that a node leaves in the order of its classes, by its shape only or by one
    rising function for all of them; "" where it does neither."""
    if node.domain not in STANDARD or not node.input:
        return ""
    if node.op_type in SHAPE_ONLY | _ONE_BY_ONE:
        return node.input[0]
    if node.op_type not in _WITH_A_NUMBER or len(node.input) != 2:
        return ""
    values = [known.value(name) for name in node.input]
    for x, number in ((0, values[1]), (1, values[0])):
        if number is None or number.size != 1 or not float(number.ravel()[0]) > 0:
            continue
        return "" if x == 1 and node.op_type in _WITH_A_NUMBER_SECOND else node.input[x]
    return ""


def _is_over_classes(trail: list[onnx.NodeProto], logits: str, known: KnownTensors) -> bool:
    """Whether the softmax at the start of `trail` leaves one distribution for each image."""
    before, after = known.shape(logits), known.shape(trail[-1].output[0])
    axis = axis_of(trail[0], known)
    if before is None:
        reshaped = any(node.op_type in SHAPE_ONLY - {"Cast", "Identity"} for node in trail)
        return axis in (1, -1) and not reshaped
    if len(before) == 2:
        same = after is None or (len(after) >= 2 and after[1] in (before[1], None))
        return axis in (1, -1) and same
    if not -len(before) <= axis < len(before) or axis % len(before) == 0:
        return False
    others = [size for k, size in enumerate(before) if k not in (0, axis % len(before))]
    return all(size == 1 for size in others)


def axis_of(node: onnx.NodeProto, known: KnownTensors) -> int:
    """Return the axis of a softmax."""
    if node.op_type == "Exp":
        node = known.producers[node.input[0]]
    # -1 from opset 13 on, before that 1: the same for the two axes of logits
    axis = attributes_of(node).get("axis", -1)
    if node.op_type == "Div":  # written out
        axis = _summed_axis(known.producers[node.input[1]], known)
    return -1 if axis is None else axis


def _summed_axis(node: onnx.NodeProto, known: KnownTensors) -> int | None:
    """Return the axis that a ReduceSum is over; None where it is over none or several, or unknown.

    Axes of length 1 do not count, nor does the batch's beside others: what is divided by one number
    for the whole batch still has each image's classes in the ratios of its softmax.
    """
    shape, attributes = known.shape(node.input[0]), attributes_of(node)
    given = attributes.get("axes", ())
    if len(node.input) > 1 and node.input[1]:
        given = known.value(node.input[1])
        if given is None:
            return None
    axes = [int(axis) for axis in np.ravel(given)]
    if not axes and attributes.get("noop_with_empty_axes"):
        return None
    if shape:
        axes = [axis % len(shape) for axis in axes] or list(range(len(shape)))
        axes = [axis for axis in axes if shape[axis] != 1] or axes[-1:]
    axes = [axis for axis in axes if axis != 0] or axes
    return axes[0] if len(axes) == 1 else None
