"""Straight-through rules of rounding and signs: the gradient goes through as if they did nothing.

Their own gradient is 0 almost everywhere, and a classifier that binarises what it computes would
have none (Bengio et al., 2013; Hubara et al., 2016, train so). What an attack finds this way is
an adversarial image, but that it finds none says less than elsewhere: attack by score, too.
"""

from __future__ import annotations

import onnx

from rnascl_keras.export.gradient.graph import Tensor
from rnascl_keras.export.gradient.known import KnownTensors
from rnascl_keras.export.gradient.path import path_nodes
from rnascl_keras.export.gradient.preparation import prepare
from rnascl_keras.export.gradient.registry import key, unary

_OPERATORS = ("Ceil", "Floor", "Round", "Sign")


@unary(*_OPERATORS)
def straight_through(g: Tensor, x: Tensor, y: Tensor) -> Tensor:
    return g


def straight_through_operators(model: onnx.ModelProto) -> tuple[str, ...]:
    """Return which of these operators lie between the images and the first output, by name.

    Quantisation is not among them: it has rules of its own, see `gradient.quantisation`.

    Args:
        model: as `input_gradient_model` takes it.

    Raises:
        UserError: it is no classifier of float images.
    """
    graph = prepare(model).graph
    path = path_nodes(graph, KnownTensors(graph), graph.input[0].name, graph.output[0].name)
    return tuple(sorted({key(node) for node, _ in path} & set(_OPERATORS)))
