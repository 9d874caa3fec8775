"""Making float nodes in the place of others, under names that are new."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from rnascl_keras.export.gradient.known import KnownTensors
from rnascl_keras.export.gradient.subgraphs import subgraphs


def free_name(graph: onnx.GraphProto, wanted: str) -> str:
    """Return `wanted`, or where a tensor's name begins so, the same with a number behind it."""
    taken = {name.partition("/")[0] for name in _names(graph)}
    numbered = (f"{wanted}_{k}" for k in range(len(taken)))
    return next(name for name in (wanted, *numbered) if name not in taken)


def _names(graph: onnx.GraphProto) -> Iterator[str]:
    yield from (value.name for value in (*graph.input, *graph.output, *graph.initializer))
    for node in graph.node:
        yield from (*node.input, *node.output)
        for inner in subgraphs(node):
            yield from _names(inner)


class Rewriting:
    """Makes nodes, under names that are new.

    Args:
        known: of the graph's tensors.
        prefix: of the new names, see `free_name`.

    Attributes:
        known: see above.
        constants: initializers made.
        floats: names of tensors that are whole numbers in the file, and floats here.
    """

    def __init__(self, known: KnownTensors, prefix: str) -> None:
        self.known, self._prefix = known, prefix
        self.constants: list[onnx.TensorProto] = []
        self.floats: set[str] = set()
        self._made: list[onnx.NodeProto] = []
        self._count = 0

    @property
    def one(self) -> str:
        """The name of a constant 1, float32."""
        return self.constant(np.ones((), np.float32))

    def constant(self, value: np.ndarray) -> str:
        """Add an initializer; return its name."""
        name = self.new_name()
        self.constants.append(numpy_helper.from_array(np.asarray(value), name))
        return name

    def new_name(self) -> str:
        """Return a name that no tensor has."""
        self._count += 1
        return f"{self._prefix}/{self._count}"

    def node(self, op_type: str, *inputs: str, output: str = "", **attributes: Any) -> str:
        """Make a node; return what it gives."""
        output = output or self.new_name()
        self._made.append(helper.make_node(op_type, list(inputs), [output], **attributes))
        return output

    def take(self) -> Iterator[onnx.NodeProto]:
        """Yield the nodes made so far, and forget them."""
        made, self._made = self._made, []
        yield from made

    def put(self, graph: onnx.GraphProto, nodes: Sequence[onnx.NodeProto]) -> None:
        """Make `nodes` those of the graph, and add the constants that they take."""
        del graph.node[:]
        graph.node.extend(nodes)
        graph.initializer.extend(self.constants)

    def dequantised(self, x: str, scale: str = "", zero: str = "", axis: int = 0) -> str:
        """Return (x - zero) * scale, along `axis` where there is one scale or zero a slice."""
        parts = [x, scale or self.one, *([zero] if zero else [])]
        if not scale and zero and self.is_vector(zero):
            shape: Any = self.known.shape(zero)
            parts[1] = self.constant(np.ones(shape, np.float32))
        vector = any(self.is_vector(name) for name in parts[1:])
        along: dict[str, Any] = {"axis": axis} if vector else {}
        return self.node("DequantizeLinear", *parts, **along)

    def dequantised_into(self, output: str, x: str, dtype: int | None) -> Iterator[onnx.NodeProto]:
        """Make what a Cast of whole numbers to `dtype` does, with a gradient."""
        self.node("Cast", self.dequantised(x), output=output, to=dtype or TensorProto.FLOAT)
        yield from self.take()

    def around(self, node: onnx.NodeProto) -> Iterator[onnx.NodeProto]:
        """Make an operator on bytes from the one on floats."""
        kind = self.known.dtype(node.input[0])
        zero = self.constant(np.zeros((), helper.tensor_dtype_to_np_dtype(kind)))
        copy = onnx.NodeProto()
        copy.CopyFrom(node)
        for k, name in enumerate(node.input):
            if name and self.known.dtype(name) == kind:
                copy.input[k] = self.dequantised(name)
        copy.output[0] = self.new_name()
        self._made.append(copy)
        self.node("QuantizeLinear", copy.output[0], self.one, zero, output=node.output[0])
        yield from self.take()

    def quantised(self, x: str, scale: str, zero: str, output: str) -> None:
        """Make `output`: x in whole numbers; without a scale, as it is."""
        if scale:
            self.node("QuantizeLinear", x, scale, *([zero] if zero else []), output=output)
        else:
            self.node("Identity", x, output=output)

    def is_vector(self, name: str) -> bool:
        """Whether it holds a value for each slice along an axis."""
        shape = self.known.shape(name)
        own = next((c for c in self.constants if c.name == name), None)
        sizes = tuple(own.dims) if own is not None else shape
        return sizes is not None and len(sizes) == 1 and sizes[0] != 1
