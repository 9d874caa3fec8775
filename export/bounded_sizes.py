"""Limits on the tensors that a graph makes, by the shapes that follow from the file."""

from __future__ import annotations

import math
from collections.abc import Iterable

import onnx

from rnascl_keras.errors import UserError
from rnascl_keras.export.gradient.known import KnownTensors

# 1 GiB of float32; per image of a file that leaves its batch open
MOST_ELEMENTS = 2**28
# of all tensors that follow from constants alone: onnxruntime computes them when it opens the file
MOST_CONSTANT_ELEMENTS = 2**26
# The same as a multiple of what the file holds, where that is more: weights are dequantised.
_CONSTANTS_PER_WEIGHT = 8

_RANDOM = {"RandomNormal", "RandomUniform", "RandomNormalLike", "RandomUniformLike", "Multinomial"}
_RANDOM |= {"Bernoulli"}
# What comes out is no larger than what goes in, though its size is not known beforehand.
_SELECTING = {"Compress", "NonMaxSuppression", "NonZero", "Unique"}


def check_sizes(graph: onnx.GraphProto) -> None:
    """Raise UserError where a tensor is too large; sizes left open count as 1.

    Args:
        graph: with inferred shapes, and none of the file's own functions.
    """
    held = sum(math.prod(tensor.dims) for tensor in graph.initializer)
    most = max(MOST_CONSTANT_ELEMENTS, _CONSTANTS_PER_WEIGHT * held)
    if _Sizes().of_constants(graph) > most:
        raise UserError(
            f"what it computes from constants alone has more than {most} values; expected a "
            "classifier that computes from its images. Store constants as weights."
        )


class _Sizes:
    """The walk through a graph and all within it.

    Attributes:
        varying: names of tensors that depend on the images.
    """

    def __init__(self) -> None:
        self.varying: set[str] = set()

    def of_constants(self, graph: onnx.GraphProto) -> int:
        """Check each tensor's size; return how many values follow from constants alone."""
        known = KnownTensors(graph)
        weights = {tensor.name for tensor in graph.initializer}
        inputs = [value.name for value in graph.input if value.name not in weights]
        self.varying.difference_update(weights)
        self.varying.update(inputs)
        for name in inputs:
            _check_size(name, known)
        total = 0
        for node in graph.node:
            inner = [a.g for a in node.attribute if a.HasField("g")]
            inner += [graph for a in node.attribute for graph in a.graphs]
            constant = node.op_type not in _RANDOM and not self._varies(node, inner)
            total += sum(map(self.of_constants, inner))
            for name in filter(None, node.output):
                size = _check_size(name, known)
                if not constant:
                    self.varying.add(name)
                    continue
                self.varying.discard(name)
                total += size
                _check_known(node, name, known)
        return total

    def _varies(self, node: onnx.NodeProto, inner: Iterable[onnx.GraphProto]) -> bool:
        if self.varying.intersection(node.input):
            return True
        return any(
            self._varies(each, [a.g for a in each.attribute if a.HasField("g")])
            for graph in inner
            for each in graph.node
        )


def _check_size(name: str, known: KnownTensors) -> int:
    shape = known.shape(name) or ()
    size = math.prod(n if isinstance(n, int) and n >= 0 else 1 for n in shape)
    if size > MOST_ELEMENTS:
        raise UserError(
            f"its tensor {name!r} has the shape {list(shape)}, {size} values; expected at most "
            f"{MOST_ELEMENTS}. Give a classifier of smaller images or batches."
        )
    return size


def _check_known(node: onnx.NodeProto, name: str, known: KnownTensors) -> None:
    """Raise UserError for a constant that could have any size."""
    shape = known.shape(name)
    if node.op_type in _SELECTING or node.domain not in ("", "ai.onnx"):
        return
    if shape is None or not all(isinstance(n, int) for n in shape):
        raise UserError(
            f"its tensor {name!r} follows from constants by {node.op_type}, and how large it is "
            "cannot be told beforehand; store it as a weight."
        )
