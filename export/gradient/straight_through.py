"""Straight-through rules of rounding and signs: the gradient goes through as if they did nothing.

Their own gradient is 0 almost everywhere, and a classifier that binarises what it computes would
have none (Bengio et al., 2013; Hubara et al., 2016, train so). Not so where they are a part of what
has a gradient, as of soft thresholds and remainders. What an attack finds this way is an
adversarial image, but that it finds none says less than elsewhere: attack by score, too.
"""

from __future__ import annotations

import onnx

from rnascl_keras.export.gradient.graph import Tensor
from rnascl_keras.export.gradient.known import KnownTensors
from rnascl_keras.export.gradient.path import path_nodes
from rnascl_keras.export.gradient.preparation import prepare
from rnascl_keras.export.gradient.registry import Step, key, rule
from rnascl_keras.export.gradient.rounding import is_subtracted

_OPERATORS = ("Ceil", "Floor", "Round", "Sign")
# each value from one value, and its size from its size
_ONE_BY_ONE = {"Abs", "Add", "Div", "Identity", "Max", "Mul", "Pow", "Relu", "Sqrt", "Sub"}
# of a size that is worked out: abs, less a threshold, and not below 0
_LONGEST_CHAIN = 4


@rule(*_OPERATORS)
def straight_through(step: Step) -> dict[int, Tensor]:
    graph, known, node = step.graph.model.graph, step.graph.known, step.node
    # their own gradient, 0, is the one to follow where what is made of them has another
    put_back = node.op_type == "Sign" and _is_put_back(graph, known, node)
    return {} if put_back or is_subtracted(graph, known, node) else {0: step.gradient}


def straight_through_operators(model: onnx.ModelProto) -> tuple[str, ...]:
    """Return which of these operators lie between the images and the first output, by name: also
    those that are subtracted from what they round, for there the answer jumps.

    Quantisation is not among them: it has rules of its own, see `gradient.quantisation`.

    Args:
        model: as `input_gradient_model` takes it.

    Raises:
        UserError: it is no classifier of float images.
    """
    graph = prepare(model).graph
    known = KnownTensors(graph)
    path = path_nodes(graph, known, graph.input[0].name, graph.output[0].name)
    found = {
        node.op_type
        for node, _ in path
        if key(node) in _OPERATORS
        and not (node.op_type == "Sign" and _is_put_back(graph, known, node))
    }
    return tuple(sorted(found))


def _is_put_back(graph: onnx.GraphProto, known: KnownTensors, node: onnx.NodeProto) -> bool:
    """Whether a Sign only multiplies what was made of the size of the same value, as soft
    thresholds do: sign(x) relu(|x| - t). It binarises nothing, and its gradient is 0."""
    readers = [other for other in graph.node if node.output[0] in other.input]
    return bool(readers) and all(
        reader.op_type == "Mul"
        and any(_follows(known, name, node.input[0], _LONGEST_CHAIN) for name in reader.input)
        for reader in readers
    )


def _follows(known: KnownTensors, name: str, value: str, most: int) -> bool:
    """Whether `name` is made of the size of `value`, each of its values from one."""
    node = known.producers.get(name)
    if node is None or not most or node.op_type not in _ONE_BY_ONE:
        return False
    if node.op_type == "Abs" and node.input[0] == value:
        return True
    return any(_follows(known, before, value, most - 1) for before in node.input)
