"""The probabilities of two classes made of one sigmoid, 1 - p and p, written as a softmax."""

from __future__ import annotations

from dataclasses import dataclass

import onnx
from onnx import helper

from rnascl_keras.export.gradient.definitions import SOFTMAX_OF_ONE_AXIS, opset_of
from rnascl_keras.export.gradient.final_activation import (
    LOGARITHMS,
    SAME_NUMBERS,
    SIGMOID,
    activation_of,
)
from rnascl_keras.export.gradient.known import KnownTensors
from rnascl_keras.export.gradient.registry import STANDARD, attributes_of


@dataclass(frozen=True)
class _Sigmoid:
    """What one half of a pair is made of.

    Attributes:
        z: the logit.
        is_opposite: whether it holds 1 - sigmoid(z) instead of sigmoid(z).
        trail: from the sigmoid on, the nodes that give it another shape.
    """

    z: str
    is_opposite: bool
    trail: list[onnx.NodeProto]


def with_softmax_of_two(model: onnx.ModelProto) -> onnx.ModelProto:
    """Return a copy in which a Concat of 1 - sigmoid(z), or sigmoid(-z), and sigmoid(z), either way
    round, is the softmax of (0, z), or (z, 0): the same numbers, whose logits can be attacked. Only
    where z has one number along the axis: of several each would have its own opposite.

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
) -> tuple[_Sigmoid, int] | None:
    """Return the sigmoid and the place of its class, where a node joins it and its opposite.

    Args:
        flattens: whether a softmax goes over all axes from its own on.
    """
    if node.domain not in STANDARD or node.op_type != "Concat" or len(node.input) != 2:
        return None
    pair = [_sigmoid_of(name, known) for name in node.input]
    for place in (0, 1):
        own, rest = pair[place], pair[1 - place]
        if own and rest and own.z == rest.z and rest.is_opposite and not own.is_opposite:
            shape, axis = known.shape(node.input[place]), attributes_of(node)["axis"]
            return (own, place) if _is_one_number(shape, axis, flattens) else None
    return None


def _sigmoid_of(name: str, known: KnownTensors) -> _Sigmoid | None:
    """Return the sigmoid whose numbers, or 1 less them, a tensor holds in their order."""
    is_opposite, trail = False, list[onnx.NodeProto]()
    for _ in known.producers:
        node = known.producers.get(name)
        if node is None or node.domain not in STANDARD:
            return None
        found = activation_of(node, known) if node.op_type not in LOGARITHMS else None
        if found is not None and found[0] == SIGMOID:
            before = known.producers.get(found[1])
            if before is not None and before.op_type == "Neg" and before.domain in STANDARD:
                return _Sigmoid(before.input[0], not is_opposite, trail)
            return _Sigmoid(found[1], is_opposite, trail)
        if node.op_type == "Sub":
            one, shape = known.value(node.input[0]), known.shape(node.input[1])
            if one is None or one.size != 1 or not (one == 1).all():
                return None
            if shape is None or one.ndim > len(shape):  # it adds axes
                return None
            is_opposite, name = not is_opposite, node.input[1]
        elif node.op_type in SAME_NUMBERS or _takes_sole(node, known):
            trail.insert(0, node)
            name = node.input[0]
        else:
            return None
    return None


def _takes_sole(node: onnx.NodeProto, known: KnownTensors) -> bool:
    """Whether a node gathers all there is along an axis of one number, as `p[:, 0]` does."""
    if node.op_type != "Gather":
        return False
    shape, place = known.shape(node.input[0]), known.value(node.input[1])
    axis = attributes_of(node).get("axis", 0)
    if shape is None or place is None or not -len(shape) <= axis < len(shape):
        return False
    return place.size == 1 and shape[axis] == 1


def _is_one_number(shape: tuple[int | str | None, ...] | None, axis: int, flattens: bool) -> bool:
    """Return whether a tensor has one number where a softmax of two would be taken."""
    if shape is None or not -len(shape) <= axis < len(shape):
        return False
    of_softmax = shape[axis % len(shape) :] if flattens else (shape[axis],)
    return all(size == 1 for size in of_softmax)


def _softmax_of(node: onnx.NodeProto, sigmoid: _Sigmoid, place: int) -> list[onnx.NodeProto]:
    zero, logits = (f"{node.output[0]}/{name}" for name in ("zero", "logits"))
    nodes, z = list[onnx.NodeProto](), sigmoid.z
    for k, after in enumerate(sigmoid.trail):  # z in the shape that its sigmoid is joined in
        shaped = onnx.NodeProto()
        shaped.CopyFrom(after)
        shaped.input[0], z = z, f"{node.output[0]}/z_{k}"
        shaped.name, shaped.output[:] = "", [z]
        nodes.append(shaped)
    pair = [zero, z] if place else [z, zero]
    axis = attributes_of(node)["axis"]
    return [
        *nodes,
        # 0 of any type and shape, and undefined where z is
        helper.make_node("Sub", [z, z], [zero]),
        helper.make_node("Concat", pair, [logits], axis=axis),
        helper.make_node("Softmax", [logits], list(node.output), axis=axis),
    ]
