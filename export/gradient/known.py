"""What is known of a graph's tensors before it runs: types, shapes, and constants' values."""

from __future__ import annotations

import numpy as np
import onnx
from onnx import TensorProto, numpy_helper

from rnascl_keras.export.gradient.evaluation import EVALUATED, KNOWN, UNKNOWN, Partial, evaluate

# No exporter writes deeper chains of them.
_DEEPEST = 100


def true_inputs(graph: onnx.GraphProto) -> list[onnx.ValueInfoProto]:
    """Return the inputs that have to be given; old files name their weights among them."""
    weights = {tensor.name for tensor in graph.initializer}
    return [value for value in graph.input if value.name not in weights]


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
        self._values: dict[str, Partial | None] = {}
        self._open_sizes: dict[str, int] = {}

    def add_constant(self, tensor: onnx.TensorProto) -> None:
        """Know of an initializer that the graph did not have before."""
        self._initializers[tensor.name] = tensor

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

    def value(self, name: str) -> np.ndarray | None:
        """Return a tensor's value where it follows from constants and known shapes, else None."""
        found = self.partly(name)
        return found.values if found is not None and found.is_known else None

    def partly(self, name: str, depth: int = 0) -> Partial | None:
        """Return what follows of a tensor's values; None where not even their number does."""
        if name not in self._values:
            self._values[name] = self._evaluate(name, depth)
        return self._values[name]

    def sizes(self, name: str) -> Partial | None:
        """Return a tensor's shape as a vector; None where its number of axes is unknown."""
        shape = self.shape(name)
        if shape is None:
            return None
        # 1 stands for a size left open
        values = [size if isinstance(size, int) else 1 for size in shape]
        kinds = [self._kind(size) for size in shape]
        return Partial(np.array(values, np.int64), np.array(kinds, np.int64), not any(kinds))

    def open_size(self, size: str) -> int:
        """Return what stands in `Partial.kinds` for a size left open, by its name."""
        return self._open_sizes.setdefault(size, 1 + len(self._open_sizes))

    def _evaluate(self, name: str, depth: int) -> Partial | None:
        if name in self._initializers:
            return Partial.known(numpy_helper.to_array(self._initializers[name]))
        node = self.producers.get(name)
        if node is None or depth > _DEEPEST or node.domain not in ("", "ai.onnx"):
            return None
        if node.op_type == "Shape":
            bounds = {attribute.name: attribute.i for attribute in node.attribute}
            sizes = self.sizes(node.input[0])
            return sizes and sizes.part(bounds.get("start", 0), bounds.get("end"))
        if node.op_type not in EVALUATED:
            return None
        inputs = [self.partly(x, depth + 1) if x else None for x in node.input]
        if any(x is None and name for x, name in zip(inputs, node.input, strict=True)):
            return None
        return evaluate(node, inputs).get(name)

    def _kind(self, size: int | str | None) -> int:
        if size is None:
            return UNKNOWN
        return KNOWN if isinstance(size, int) else self.open_size(size)
