"""If and Loop put in place: the branch that is taken, and a copy of the body for each time round.

Exporters write them for what depends on shapes only. Where it depends on the images, they stay.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import onnx
from onnx import helper, numpy_helper

from rnascl_keras.export.gradient.graph import Tensor
from rnascl_keras.export.gradient.known import KnownTensors
from rnascl_keras.export.gradient.registry import STANDARD, Step, Unsupported, rule

# of a graph in which all is in place
_MOST_NODES = 10_000
# of all copies of a body, which can hold constants
_MOST_BYTES = 2**27
# elements of what a round hands on to tell how often it runs; a count has one
_MOST_COUNTED = 16


def put_in_place(model: onnx.ModelProto) -> onnx.ModelProto | None:
    """Return a copy with those in place of which is known which branch is taken, or how often the
    body is run; None where there are none. In what was inside there may be further ones.

    Args:
        model: with inferred shapes, in opset 13 or later.
    """
    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    known, made = KnownTensors(model.graph), _Made(copy.graph)
    found = 0
    for node in model.graph.node:
        try:
            _put(made, known, node)
            found += 1
        except Unsupported:
            made.nodes.append(node)
    del copy.graph.node[:]
    copy.graph.node.extend(made.nodes)
    return copy if found else None


@rule("If", "Loop", inputs=None)
def control_flow(step: Step) -> dict[int, Tensor]:
    """Only what cannot be put in place is still there; say why."""
    _put(_Made(onnx.GraphProto()), step.graph.known, step.node)
    raise Unsupported("with all others in place, the graph is too large")


class _Made:
    """What the new graph is made of.

    Args:
        graph: where initializers are added.
    """

    def __init__(self, graph: onnx.GraphProto) -> None:
        self.graph = graph
        self.nodes: list[onnx.NodeProto] = []

    def check_space(self, body: onnx.GraphProto, count: int) -> None:
        """Raise Unsupported where so many copies of a body's nodes are too many, or too large."""
        nodes = len(self.nodes) + count * (len(body.node) + len(body.output))
        size = count * sum(node.ByteSize() for node in body.node)
        if nodes > _MOST_NODES or size > _MOST_BYTES:
            raise Unsupported("its body is run too often to be put in place so many times")

    def constant(self, value: np.ndarray, name: str) -> str:
        self.graph.initializer.append(numpy_helper.from_array(value, name))
        return name

    def op(self, operator: str, inputs: Sequence[str], output: str, **attributes: Any) -> str:
        self.nodes.append(helper.make_node(operator, inputs, [output], **attributes))
        return output

    def weights(self, body: onnx.GraphProto, stem: str) -> dict[str, str]:
        """Add a body's initializers, once for all rounds; return what they are called now."""
        names = {tensor.name: f"{stem}/{tensor.name}" for tensor in body.initializer}
        for tensor in body.initializer:
            self.graph.initializer.add().CopyFrom(tensor)
            self.graph.initializer[-1].name = names[tensor.name]
        return names

    def body(self, body: onnx.GraphProto, names: Mapping[str, str], stem: str) -> list[str]:
        """Add what is in a body; return what its outputs are called.

        Args:
            names: of what it is given, by the names that it has inside.
        """
        made = {name: f"{stem}/{name}" for node in body.node for name in node.output if name}
        names = {**names, **made}
        self.nodes += _renamed(body.node, names)
        return [names.get(value.name, value.name) for value in body.output]


def _put(made: _Made, known: KnownTensors, node: onnx.NodeProto) -> None:
    if node.domain not in STANDARD or node.op_type not in ("If", "Loop"):
        raise Unsupported("no rule")
    put = _put_branch if node.op_type == "If" else _put_rounds
    put(made, known, node)


def _put_branch(made: _Made, known: KnownTensors, node: onnx.NodeProto) -> None:
    condition = known.value(node.input[0])
    if condition is None or condition.size != 1:
        raise Unsupported("its condition is no constant")
    taken = "then_branch" if condition.item() else "else_branch"
    branch: onnx.GraphProto = helper.get_node_attr_value(node, taken)
    _check_counts((len(branch.output), len(node.output)), (len(branch.input), 0))
    made.check_space(branch, 1)
    stem = next(filter(None, node.output))
    results = made.body(branch, made.weights(branch, stem), stem)
    for name, result in zip(node.output, results, strict=True):
        if name:
            made.op("Identity", [result], name)


def _put_rounds(made: _Made, known: KnownTensors, node: onnx.NodeProto) -> None:
    body: onnx.GraphProto = helper.get_node_attr_value(node, "body")
    carried, outputs = list(node.input[2:]), list(node.output)
    _check_counts((len(body.output), 1 + len(outputs)), (len(body.input), 2 + len(carried)))
    count = _rounds(known, node, body)
    stem, lists = next(filter(None, outputs)), outputs[len(carried) :]
    if lists and not count:
        raise Unsupported("it is never run")
    made.check_space(body, count)
    weights = made.weights(body, stem)
    axis = made.constant(np.array([0]), f"{stem}/axis")
    rows: list[list[str]] = [[] for _ in lists]
    for k in range(count):
        here = f"{stem}/{k}"
        counter = made.constant(np.array(k), f"{here}/counter")
        going = made.constant(np.array(True), f"{here}/going")
        given = zip((x.name for x in body.input), (counter, going, *carried), strict=True)
        _, *results = made.body(body, weights | dict(given), here)
        carried = results[: len(carried)]
        for i, x in enumerate(results[len(carried) :]):
            rows[i].append(made.op("Unsqueeze", [x, axis], f"{here}/row_{i}"))
    for name, x in zip(outputs, carried, strict=False):
        if name:
            made.op("Identity", [x], name)
    for name, parts in zip(lists, rows, strict=True):
        if name:
            made.op("Concat", parts, name, axis=0)


def _check_counts(*counts: tuple[int, int]) -> None:
    if any(given != wanted for given, wanted in counts):
        raise Unsupported("what it gives its body and takes from it does not fit")


def _rounds(known: KnownTensors, node: onnx.NodeProto, body: onnx.GraphProto) -> int:
    """Return how often a Loop runs; Unsupported where it depends on what it computes."""
    count, condition = (
        known.value(x) if x else np.array(most)
        for x, most in ((node.input[0], np.iinfo(np.int64).max), (node.input[1], True))
    )
    if count is None or condition is None or not count.size == condition.size == 1:
        raise Unsupported("how often it runs is no constant")
    producers = {name: inner for inner in body.node for name in inner.output}
    name = body.output[0].name
    while name in producers and producers[name].op_type == "Identity":
        name = producers[name].input[0]
    if not condition.item():
        return 0
    if name == body.input[1].name:
        return int(count.item())
    return _simulated(known, node, body, int(count.item()))


def _simulated(known: KnownTensors, node: onnx.NodeProto, body: onnx.GraphProto, most: int) -> int:
    """Return after how many rounds, at most `most`, the body says to stop, as a count that it
    carries on tells it; Unsupported where that depends on what else it computes."""
    own = {x.name for x in (*body.initializer, *body.input)}
    own |= {name for inner in body.node for name in inner.output}
    used = {body.output[0].name, *(name for inner in body.node for name in inner.input)}
    fixed = {x: value for x in used - own if _is_small(value := known.value(x))}
    carried = {
        x.name: value
        for x, first in zip(body.input[2:], node.input[2:], strict=True)
        if _is_small(value := known.value(first))
    }
    counter, going = (x.name for x in body.input[:2])
    most = min(most, _MOST_NODES // max(1, len(body.node)) + 1)  # of so many there is no room
    for k in range(most):
        here = KnownTensors(body)
        given = fixed | carried | {counter: np.array(k), going: np.array(True)}
        for name, value in given.items():
            here.add_constant(numpy_helper.from_array(np.asarray(value), name))
        goes_on = here.value(body.output[0].name)
        if goes_on is None or goes_on.size != 1:
            raise Unsupported("how often it runs depends on what it computes")
        if not goes_on.item():
            return k + 1
        carried = {
            x.name: value
            for x, result in zip(body.input[2:], body.output[1:], strict=False)
            if x.name in carried and _is_small(value := here.value(result.name))
        }
    return most


def _is_small(value: np.ndarray | None) -> bool:
    return value is not None and value.size <= _MOST_COUNTED


def _renamed(nodes: Iterable[onnx.NodeProto], names: Mapping[str, str]) -> list[onnx.NodeProto]:
    """Return copies that use the names in `names`, inside of their own graphs too."""
    copies = []
    for node in nodes:
        copy = onnx.NodeProto()
        copy.CopyFrom(node)
        copy.name = ""  # onnxruntime takes none twice
        copy.input[:] = [names.get(name, name) for name in node.input]
        copy.output[:] = [names.get(name, name) for name in node.output]
        for attribute in copy.attribute:
            if attribute.HasField("g"):
                graph = attribute.g
                inner = _renamed(graph.node, names)
                del graph.node[:]
                graph.node.extend(inner)
                for value in graph.output:
                    value.name = names.get(value.name, value.name)
        copies.append(copy)
    return copies
