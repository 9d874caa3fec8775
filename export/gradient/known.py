"""What is known of a graph's tensors before it runs: types, shapes, and constants' values."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, numpy_helper

# Operators that compute shapes, axes and pads. None runs long, and what comes out of one has no
# more elements than the product of its inputs', but for the last three.
_EVALUATED = {
    *("Abs", "Add", "And", "Cast", "Ceil", "Concat", "Constant", "Div", "Equal", "Flatten"),
    *("Floor", "Gather", "Greater", "Identity", "Less", "Max", "Min", "Mod", "Mul", "Neg"),
    *("Not", "Or", "ReduceMax", "ReduceMin", "ReduceProd", "ReduceSum", "Reshape", "Size"),
    *("Slice", "Split", "Sqrt", "Squeeze", "Sub", "Transpose", "Unsqueeze", "Where"),
    *("ConstantOfShape", "Expand", "Range"),
}
_MOST_ELEMENTS = 1024
_LARGEST_RESULT = 16 * _MOST_ELEMENTS
# No exporter writes deeper chains of them.
_DEEPEST = 100


class KnownTensors:
    """Element types, shapes and constant values by tensor name.

    Args:
        graph: with inferred shapes.

    Attributes:
        producers: by tensor name, the node that it comes from.
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
        """Return a tensor's value where it follows from constants and known shapes, else None."""
        if name not in self._values:
            self._values[name] = self._evaluate(name, depth)
        return self._values[name]

    def _evaluate(self, name: str, depth: int) -> np.ndarray | None:
        if name in self._initializers:
            return numpy_helper.to_array(self._initializers[name])
        node = self.producers.get(name)
        if node is None or depth > _DEEPEST or node.domain not in ("", "ai.onnx"):
            return None
        if node.op_type == "Shape":
            return self._shape_value(node)
        if node.op_type not in _EVALUATED:
            return None
        values = {x: self.value(x, depth + 1) for x in node.input if x}
        inputs = {x: value for x, value in values.items() if value is not None}
        if len(inputs) < len(values):
            return None
        # one tensor can be joined to itself many times
        if sum(inputs[x].size for x in node.input if x) > _MOST_ELEMENTS:
            return None
        value = _run(node, inputs).get(name)
        return value if value is not None and value.size <= _LARGEST_RESULT else None

    def _shape_value(self, node: onnx.NodeProto) -> np.ndarray | None:
        bounds = {attribute.name: attribute.i for attribute in node.attribute}
        shape = self.shape(node.input[0])
        part = None if shape is None else shape[bounds.get("start", 0) : bounds.get("end")]
        if part is None or not all(isinstance(size, int) for size in part):
            return None
        return np.array(part, np.int64)


def _run(node: onnx.NodeProto, inputs: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Return a node's outputs by name; none of them where it cannot be run, or gives too much."""
    from onnx.reference import ReferenceEvaluator

    arguments = [inputs[name] for name in node.input if name]
    try:
        if node.op_type in ("ConstantOfShape", "Expand"):
            count = math.prod(arguments[-1].tolist())
        elif node.op_type == "Range":
            count = abs((arguments[1] - arguments[0]) / arguments[2])
        else:
            count = 0
        if not count <= _MOST_ELEMENTS:
            return {}
        results: Any = ReferenceEvaluator(node).run(None, inputs)
        return dict(zip(node.output, results, strict=True))
    except Exception:  # whatever is wrong with the node, it is no constant
        return {}
