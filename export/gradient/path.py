"""Which nodes lie between the images and the logits."""

from __future__ import annotations

from collections.abc import Iterator

import onnx
from onnx import TensorProto

from rnascl_keras.export.gradient.known import KnownTensors
from rnascl_keras.export.gradient.subgraphs import all_nodes, subgraphs

# What comes out of these does not depend on their inputs' values.
_SHAPES_ONLY = {"Shape", "Size"}
# Positions of inputs of which only the shape or the type matters.
_TYPES_ONLY = {"CastLike": {1}}
# Comparisons and positions: constant almost everywhere. Whole numbers of an unknown operator, of
# Cast and of QuantizeLinear do carry a gradient, or are refused.
_PIECEWISE_CONSTANT = {"ArgMax", "ArgMin", "NonZero", "IsNaN", "IsInf"}
# Operators of which only the first output holds values; the others are positions, or taken for
# constants, as a quantiser's scale and zero point are.
_VALUES_FIRST = {"DynamicQuantizeLinear", "MaxPool", "TopK", "Unique"}


def path_nodes(
    graph: onnx.GraphProto, known: KnownTensors, source: str, target: str
) -> list[tuple[onnx.NodeProto, frozenset[int]]]:
    """Return the nodes through which `target` depends on `source` differentiably, in order.

    With each come the positions of its inputs that depend on `source`. A node whose subgraphs use
    such a tensor is on the path as well, with the position -1.
    """
    active = {source}
    found = []
    for node in graph.node:
        wanted = _active_inputs(node, active)
        outputs = node.output[:1] if node.op_type in _VALUES_FIRST else node.output
        carries = [name for name in outputs if name and known.dtype(name) != TensorProto.BOOL]
        if wanted and carries and node.op_type not in _SHAPES_ONLY | _PIECEWISE_CONSTANT:
            active.update(carries)
            found.append((node, wanted))
    relevant, path = {target}, []
    for node, wanted in reversed(found):
        if relevant.intersection(node.output):
            relevant.update(node.input[i] for i in wanted if i >= 0)
            if -1 in wanted:
                relevant.update(_captured(node))
            path.append((node, wanted))
    return path[::-1]


def _active_inputs(node: onnx.NodeProto, active: set[str]) -> frozenset[int]:
    ignored = _TYPES_ONLY.get(node.op_type, set())
    wanted = {i for i, name in enumerate(node.input) if name in active and i not in ignored}
    if active.intersection(_captured(node)):
        wanted.add(-1)
    return frozenset(wanted)


def _captured(node: onnx.NodeProto) -> Iterator[str]:
    """Yield every name that the node's subgraphs read."""
    for graph in subgraphs(node):
        for inner in all_nodes(graph.node):
            yield from inner.input
