"""What is known of a graph's tensors before it runs: types, shapes, and constants' values."""

from __future__ import annotations

import math

import numpy as np
import onnx
from onnx import TensorProto, numpy_helper

# Deeper chains of constants than any exporter writes are left alone, as are larger results.
_DEEPEST = 50
_LARGEST = 1 << 20


class KnownTensors:
    """Element types, shapes and constant values by tensor name.

    Args:
        graph: with inferred shapes.
    """

    def __init__(self, graph: onnx.GraphProto) -> None:
        self.producers = {name: node for node in graph.node for name in node.output if name}
        self._initializers = {tensor.name: tensor for tensor in graph.initializer}
        values = (*graph.input, *graph.output, *graph.value_info)
        self._types = {value.name: value.type.tensor_type for value in values}
        self._values: dict[str, np.ndarray | None] = {}

    def dtype(self, name: str) -> int:
        """Return the element type, `TensorProto.UNDEFINED` where it is unknown."""
        if name in self._initializers:
            return self._initializers[name].data_type
        return self._types[name].elem_type if name in self._types else TensorProto.UNDEFINED

    def shape(self, name: str) -> tuple[int | str | None, ...] | None:
        """Return the size of each axis, its name where it is left open, or None; see `Tensor`."""
        if name in self._initializers:
            return tuple(self._initializers[name].dims)
        if name not in self._types or not self._types[name].HasField("shape"):
            return None
        return tuple(
            axis.dim_value if axis.HasField("dim_value") else axis.dim_param or None
            for axis in self._types[name].shape.dim
        )

    def value(self, name: str, depth: int = 0) -> np.ndarray | None:
        """Return a tensor's value where it is small and depends on constants only, else None."""
        if name not in self._values:
            self._values[name] = self._evaluate(name, depth)
        return self._values[name]

    def _evaluate(self, name: str, depth: int) -> np.ndarray | None:
        if name in self._initializers:
            return numpy_helper.to_array(self._initializers[name])
        node, shape = self.producers.get(name), self.shape(name)
        sizes = [size if isinstance(size, int) else _LARGEST + 1 for size in shape or ()]
        if node is None or shape is None or depth > _DEEPEST or math.prod(sizes) > _LARGEST:
            return None
        inputs = {x: self.value(x, depth + 1) for x in node.input if x}
        if any(value is None for value in inputs.values()):
            return None
        return _run(node, inputs)[list(node.output).index(name)]


def _run(node: onnx.NodeProto, inputs: dict[str, np.ndarray]) -> list[np.ndarray]:
    from onnx.reference import ReferenceEvaluator

    return ReferenceEvaluator(node).run(None, inputs)
