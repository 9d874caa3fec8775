"""Outputs that hold the largest of an image's scores, and so do not say of all classes."""

from __future__ import annotations

import onnx

from rnascl_keras.export.gradient.final_activation import final_activation, in_same_order
from rnascl_keras.export.gradient.known import KnownTensors
from rnascl_keras.export.gradient.registry import STANDARD
from rnascl_keras.export.gradient.written_out import taken_from_one


def holds_largest_only(graph: onnx.GraphProto, name: str) -> bool:
    """Whether a tensor is the values of a TopK, the maximum over all classes, or the larger of p
    and 1 - p: how sure the file is of the class that another output names.

    Args:
        graph: with inferred shapes.
        name: of the tensor.
    """
    known = KnownTensors(graph)
    for _ in graph.node:
        node = known.producers.get(name)
        if node is None or node.domain not in STANDARD:
            return False
        if node.op_type == "TopK" or _is_of_opposites(node, known):
            return True
        if node.op_type == "ReduceMax":
            before, after = known.shape(node.input[0]), known.shape(node.output[0])
            if after is None or any(size != 1 for size in after[1:]):  # over places, say
                return False
            rows = before is not None and len(before) == 2
            return rows or final_activation(graph, node.input[0]) is not None
        name = in_same_order(node, known)
    return False


def _is_of_opposites(node: onnx.NodeProto, known: KnownTensors) -> bool:
    """Whether a node chooses between p and 1 - p, by Max or by Where."""
    places = {"Max": slice(0, 2), "Where": slice(1, 3)}
    if node.op_type not in places or len(node.input) < 2:
        return False
    pair = list(node.input[places[node.op_type]])
    for p, rest in (pair, pair[::-1]):
        made = known.producers.get(rest)
        if made is not None and taken_from_one(made, known) == p:
            return True
    return False
