"""Operators of `ai.onnx.ml` that have a gradient, in ONNX's own: scaling, and linear classifiers.

scikit-learn's converter writes them. Their meaning is onnxruntime's, where the standard is silent.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from rnascl_keras.export.gradient.classical import DOMAIN
from rnascl_keras.export.gradient.definitions import opset_of
from rnascl_keras.export.gradient.registry import attributes_of

# From this opset on, the axes of a sum are an input.
_AXES_AS_INPUT = 13
_ACTIVATIONS = {b"NONE": "", b"SOFTMAX": "Softmax", b"LOGISTIC": "Sigmoid"}


def with_classical_written_out(model: onnx.ModelProto) -> onnx.ModelProto:
    """Return a copy of `model` in which `Scaler`, `Normalizer`, `LinearClassifier` and
    `ArrayFeatureExtractor` are standard operators wherever these say the same."""
    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    graph = copy.graph
    constants = {tensor.name for tensor in graph.initializer}
    producers = {name: node for node in graph.node for name in node.output}
    nodes: list[onnx.NodeProto] = []
    for node in graph.node:
        write = _WRITERS.get(node.op_type) if node.domain == DOMAIN else None
        # classes' names are looked up in a constant
        if write is None or not constants.isdisjoint(node.input[:1]):
            nodes.append(node)
        else:
            nodes += write(_Writing(graph, node, producers, opset_of(model)))
    del graph.node[:]
    graph.node.extend(nodes)
    return copy


class _Writing:
    """What one node is written as.

    Args:
        graph: gets the constants.
        node: of `ai.onnx.ml`.
        producers: by tensor name, the node that it comes from, as the file has it.
        opset: of the standard operators.
    """

    def __init__(
        self,
        graph: onnx.GraphProto,
        node: onnx.NodeProto,
        producers: Mapping[str, onnx.NodeProto],
        opset: int,
    ) -> None:
        self.node, self.given = node, attributes_of(node)
        self.nodes: list[onnx.NodeProto] = []
        self._graph, self._producers, self._opset = graph, producers, opset
        self._prefix = next(name for name in node.output if name) + "/written_out_"

    def op(self, operator: str, *inputs: str, made: str = "", **attributes: Any) -> str:
        """Add a node, and return what it makes."""
        made = made or f"{self._prefix}{len(self.nodes)}"
        self.nodes.append(helper.make_node(operator, inputs, [made], **attributes))
        return made

    def constant(self, value: np.ndarray) -> str:
        """Add a constant, and return its name."""
        name = f"{self._prefix}constant_{len(self._graph.initializer)}"
        self._graph.initializer.append(numpy_helper.from_array(value, name))
        return name

    def floats(self) -> str:
        """Return the node's first input in single precision, in which it computes."""
        return self.op("Cast", self.node.input[0], to=TensorProto.FLOAT)

    def summed(self, x: str) -> str:
        """Sum over the last axis, which stays."""
        if self._opset >= _AXES_AS_INPUT:
            return self.op("ReduceSum", x, self.constant(np.array([-1])), keepdims=1)
        return self.op("ReduceSum", x, axes=[-1], keepdims=1)

    def is_softmax(self, name: str) -> bool:
        """Whether a linear classifier makes a tensor by a softmax."""
        node = self._producers.get(name)
        while node is not None and (node.domain, node.op_type) == ("", "Cast"):
            node = self._producers.get(node.input[0])
        if node is None or (node.domain, node.op_type) != (DOMAIN, "LinearClassifier"):
            return False
        return attributes_of(node).get("post_transform") == b"SOFTMAX"


def _scaler(w: _Writing) -> list[onnx.NodeProto]:
    """Write (x - offset) · scale."""
    offset, scale = (np.array(w.given.get(key, ()), np.float32) for key in ("offset", "scale"))
    if not (offset.size and scale.size):
        return [w.node]
    centred = w.op("Sub", w.floats(), w.constant(offset))
    w.op("Mul", centred, w.constant(scale), made=w.node.output[0])
    return w.nodes


def _normalizer(w: _Writing) -> list[onnx.NodeProto]:
    """Divide each row by its L1 or L2 norm; a row of zeros stays."""
    kind = w.given.get("norm")
    if kind not in (b"L1", b"L2"):
        return [w.node]
    if kind == b"L1" and w.is_softmax(w.node.input[0]):  # adds up to 1, and logits can be taken
        w.op("Identity", w.node.input[0], made=w.node.output[0])
        return w.nodes
    x = w.floats()
    norm = w.summed(w.op("Abs", x)) if kind == b"L1" else w.op("Sqrt", w.summed(w.op("Mul", x, x)))
    least = w.constant(np.array(np.finfo(np.float32).tiny))
    w.op("Div", x, w.op("Max", norm, least), made=w.node.output[0])
    return w.nodes


def _linear_classifier(w: _Writing) -> list[onnx.NodeProto]:
    """Write its scores; the labels stay the node's own."""
    activation = _ACTIVATIONS.get(w.given.get("post_transform", b"NONE"))
    intercepts = np.array(w.given.get("intercepts", ()), np.float32)
    classes = len(w.given.get("classlabels_ints") or w.given.get("classlabels_strings", ()))
    has_scores = len(w.node.output) > 1 and w.node.output[1]
    if activation is None or not has_scores or len(intercepts) != classes:
        return [w.node]
    weights = np.array(w.given["coefficients"], np.float32).reshape(classes, -1)
    product = w.op("MatMul", w.floats(), w.constant(weights.T.copy()))
    made = w.node.output[1]
    z = w.op("Add", product, w.constant(intercepts), made="" if activation else made)
    if activation:
        w.op(activation, z, made=made, **({"axis": 1} if activation == "Softmax" else {}))
    labels = onnx.NodeProto()
    labels.CopyFrom(w.node)
    labels.output[1] = f"{made}/with_labels"
    return [*w.nodes, labels]


def _array_feature_extractor(w: _Writing) -> list[onnx.NodeProto]:
    """Pick some columns."""
    columns = w.op("Reshape", w.node.input[1], w.constant(np.array([-1])))
    w.op("Gather", w.node.input[0], columns, made=w.node.output[0], axis=-1)
    return w.nodes


_WRITERS: dict[str, Callable[[_Writing], list[onnx.NodeProto]]] = {
    "ArrayFeatureExtractor": _array_feature_extractor,
    "LinearClassifier": _linear_classifier,
    "Normalizer": _normalizer,
    "Scaler": _scaler,
}
