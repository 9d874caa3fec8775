"""The probabilities of two classes made of one sigmoid, 1 - p and p, written as a softmax."""

from __future__ import annotations

import onnx
from onnx import helper

from rnascl_keras.export.gradient.definitions import SOFTMAX_OF_ONE_AXIS, opset_of
from rnascl_keras.export.gradient.known import KnownTensors
from rnascl_keras.export.gradient.registry import STANDARD, attributes_of


def with_softmax_of_two(model: onnx.ModelProto) -> onnx.ModelProto:
    """Return a copy in which a Concat of 1 - sigmoid(z) and sigmoid(z), either way round, is the
    softmax of (0, z), or (z, 0): the same numbers, whose logits can be attacked. Only where z has
    one number along the axis: of several each would have its own opposite.

    Args:
        model: with inferred shapes.
    """
    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    graph = copy.graph
    known = KnownTensors(graph)
    flattens = opset_of(model) < SOFTMAX_OF_ONE_AXIS
    nodes: list[onnx.NodeProto] = []
    for node in graph.node:
        found = _logit_of_pair(node, known, flattens)
        nodes += [node] if found is None else _softmax_of(node, *found)
    del graph.node[:]
    graph.node.extend(nodes)
    return copy


def _logit_of_pair(
    node: onnx.NodeProto, known: KnownTensors, flattens: bool
) -> tuple[str, int] | None:
    """Return z and the place of its class, where a node joins 1 - sigmoid(z) and sigmoid(z).

    Args:
        flattens: whether a softmax goes over all axes from its own on.
    """
    if node.domain not in STANDARD or node.op_type != "Concat" or len(node.input) != 2:
        return None
    for place in (0, 1):
        second, first = node.input[place], node.input[1 - place]
        sigmoid, rest = known.producers.get(second), known.producers.get(first)
        if sigmoid is None or rest is None or sigmoid.op_type != "Sigmoid":
            continue
        one = known.value(rest.input[0]) if rest.op_type == "Sub" else None
        if one is not None and rest.input[1] == second and (one == 1).all() and one.size == 1:
            z = sigmoid.input[0]
            axis = attributes_of(node)["axis"]
            return (z, place) if _is_one_number(known.shape(z), axis, flattens) else None
    return None


def _is_one_number(shape: tuple[int | str | None, ...] | None, axis: int, flattens: bool) -> bool:
    """Return whether a tensor has one number where a softmax of two would be taken."""
    if shape is None or not -len(shape) <= axis < len(shape):
        return False
    of_softmax = shape[axis % len(shape) :] if flattens else (shape[axis],)
    return all(size == 1 for size in of_softmax)


def _softmax_of(node: onnx.NodeProto, z: str, place: int) -> list[onnx.NodeProto]:
    zero, logits = (f"{node.output[0]}/{name}" for name in ("zero", "logits"))
    pair = [zero, z] if place else [z, zero]
    axis = attributes_of(node)["axis"]
    return [
        # 0 of any type and shape, and undefined where z is
        helper.make_node("Sub", [z, z], [zero]),
        helper.make_node("Concat", pair, [logits], axis=axis),
        helper.make_node("Softmax", [logits], list(node.output), axis=axis),
    ]
