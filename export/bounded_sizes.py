"""Limits on the tensors that a graph makes, by the shapes that follow from the file."""

from __future__ import annotations

import math
from collections.abc import Iterable

import onnx

from rnascl_keras.errors import UserError
from rnascl_keras.export.gradient.known import KnownTensors
from rnascl_keras.export.gradient.subgraphs import subgraphs

# 1 GiB of float32; per image of a file that leaves its batch open
MOST_ELEMENTS = 2**28
# shapes and the like; onnx follows each value of them
MOST_IN_VECTOR = 2**20
# of all tensors that follow from constants alone: onnxruntime computes them when it opens the file
MOST_CONSTANT_ELEMENTS = 2**26
# The same as a multiple of what the file holds, where that is more: weights are dequantised.
_CONSTANTS_PER_WEIGHT = 8

_RANDOM = {"RandomNormal", "RandomUniform", "RandomNormalLike", "RandomUniformLike", "Multinomial"}
_RANDOM |= {"Bernoulli"}
# What comes out is no larger than what goes in, though its size is not known beforehand.
_SELECTING = {"Compress", "NonMaxSuppression", "NonZero", "SequenceEmpty", "Unique"}


def check_sizes(graph: onnx.GraphProto) -> None:
    """Raise UserError where a tensor is too large; sizes left open count as 1.

    Args:
        graph: with inferred shapes, and none of the file's own functions.
    """
    known = KnownTensors(graph)
    for value in graph.input:
        _size(value.name, known)
    for node in graph.node:
        for name in filter(None, node.output):
            _size(name, known)
        for inner in subgraphs(node):
            check_sizes(inner)


def check_constants(graph: onnx.GraphProto) -> None:
    """Raise UserError where what follows from constants alone is too much, or of unknown size.

    Args:
        graph: as in `check_sizes`, which goes first.
    """
    check_sizes(graph)
    held = sum(math.prod(tensor.dims) for tensor in graph.initializer)
    most = max(MOST_CONSTANT_ELEMENTS, _CONSTANTS_PER_WEIGHT * held)
    if _Constants().elements(graph) > most:
        raise UserError(
            f"what it computes from constants alone has more than {most} values; expected a "
            "classifier that computes from its images. Store constants as weights."
        )


class _Constants:
    """The walk through a graph and all within it.

    Attributes:
        varying: names of tensors that depend on the images.
    """

    def __init__(self) -> None:
        self.varying: set[str] = set()

    def elements(self, graph: onnx.GraphProto) -> int:
        """Return how many values follow from constants alone."""
        known = KnownTensors(graph)
        weights = {tensor.name for tensor in graph.initializer}
        self.varying.update(value.name for value in graph.input)
        self.varying.difference_update(weights)
        total = 0
        for node in graph.node:
            inner = list(subgraphs(node))
            constant = node.op_type not in _RANDOM and not self._varies(node, inner)
            total += sum(map(self.elements, inner))
            outputs = set(filter(None, node.output))
            if constant:
                # the name may be used inside another graph too
                self.varying -= outputs
                total += sum(_known_size(node, name, known) for name in outputs)
            else:
                self.varying |= outputs
        return total

    def _varies(self, node: onnx.NodeProto, inner: Iterable[onnx.GraphProto]) -> bool:
        if self.varying.intersection(node.input):
            return True
        return any(self._varies(each, subgraphs(each)) for graph in inner for each in graph.node)


def _size(name: str, known: KnownTensors) -> int:
    shape = known.shape(name) or ()
    size = math.prod(n if isinstance(n, int) and n >= 0 else 1 for n in shape)
    most = MOST_IN_VECTOR if len(shape) == 1 else MOST_ELEMENTS
    if size > most:
        raise UserError(
            f"its tensor {name!r} has the shape {list(shape)}, {size} values; expected at most "
            f"{most}. Give a classifier of smaller images or batches."
        )
    return size


def _known_size(node: onnx.NodeProto, name: str, known: KnownTensors) -> int:
    """Return the size of a constant; UserError where it could have any."""
    shape = known.shape(name)
    told = shape is not None and all(isinstance(n, int) for n in shape)
    if not told and node.op_type not in _SELECTING and node.domain in ("", "ai.onnx"):
        raise UserError(
            f"its tensor {name!r} follows from constants by {node.op_type}, and how large it is "
            "cannot be told beforehand; store it as a weight."
        )
    return _size(name, known)
