"""Names in an ONNX graph that depend on the graph alone, so that equal models give equal files.

A converter numbers what it makes as it comes in the process, and of equal constants keeps whichever
it meets first in a set; both are others in the next process.
"""

from __future__ import annotations

import re

import onnx

COUNTED = re.compile(r"(__\d+)+$")


def name_by_place(model: onnx.ModelProto) -> None:
    """Name nodes, tensors and constants of `model` by where they stand; in place.

    A node keeps what its name says before the converter's number; what it gives, and the constants
    that it is the first to take, are named after it; constants stand in the order in which they are
    taken, and those that nobody takes go. Inputs and outputs keep their names. A graph with graphs
    in it stays as it is.

    Args:
        model: its nodes in the order in which they are computed.
    """
    graph = model.graph
    if any(part.type in _GRAPHS for node in graph.node for part in node.attribute):
        return
    names = {value.name: value.name for value in (*graph.input, *graph.output)} | {"": ""}
    constants = {tensor.name: tensor for tensor in graph.initializer}
    taken = set(names)
    for node in graph.node:
        node.name = _free(COUNTED.sub("", node.name) or node.op_type, taken)
        for place, name in enumerate(node.input):
            if name in constants and name not in names:
                names[name] = _free(f"{node.name}/constant{place}", taken)
            node.input[place] = names.get(name, name)
        for place, name in enumerate(node.output):
            if name not in names:
                names[name] = _free(f"{node.name}:{place}", taken)
            node.output[place] = names[name]
    used = [constants[name] for name in names if name in constants]
    for tensor in used:
        tensor.name = names[tensor.name]
    del graph.initializer[:]
    graph.initializer.extend(used)
    graph.name = COUNTED.sub("", graph.name)
    graph.ClearField("doc_string")  # which tells a number, too
    del graph.value_info[:]  # it follows from the rest


_GRAPHS = (onnx.AttributeProto.GRAPH, onnx.AttributeProto.GRAPHS)


def _free(wanted: str, taken: set[str]) -> str:
    """Return `wanted`, with a number where it is taken, and note it as taken."""
    name, number = wanted, 1
    while name in taken:
        number += 1
        name = f"{wanted}_{number}"
    taken.add(name)
    return name
