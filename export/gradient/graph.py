"""A graph that is being extended: tensors on which arithmetic adds nodes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from functools import cached_property
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from rnascl_keras.export.gradient.known import KnownTensors

_RESULT_TYPES = {
    "Shape": TensorProto.INT64,
    "Size": TensorProto.INT64,
    "ArgMax": TensorProto.INT64,
    "NonZero": TensorProto.INT64,
    "Equal": TensorProto.BOOL,
    "Greater": TensorProto.BOOL,
    "GreaterOrEqual": TensorProto.BOOL,
    "Less": TensorProto.BOOL,
    "LessOrEqual": TensorProto.BOOL,
}


class Tensor:
    """A tensor of a `Graph`; arithmetic with tensors or numbers adds nodes and gives tensors.

    Attributes:
        graph: the graph it is in.
        name: its name there.
        dtype: its element type, e.g. `onnx.TensorProto.FLOAT`.
        shape: one entry an axis: its size, the name of a size left open, or None; None where even
            the rank is unknown. Known of the model's own tensors, and of gradients by these.
    """

    def __init__(self, graph: Graph, name: str, dtype: int, shape: tuple | None = None) -> None:
        self.graph, self.name, self.dtype, self.shape = graph, name, dtype, shape

    def __add__(self, other: Any) -> Tensor:
        return self.graph.op("Add", self, other)

    def __radd__(self, other: Any) -> Tensor:
        return self.graph.op("Add", other, self)

    def __sub__(self, other: Any) -> Tensor:
        return self.graph.op("Sub", self, other)

    def __rsub__(self, other: Any) -> Tensor:
        return self.graph.op("Sub", other, self)

    def __mul__(self, other: Any) -> Tensor:
        return self.graph.op("Mul", self, other)

    def __rmul__(self, other: Any) -> Tensor:
        return self.graph.op("Mul", other, self)

    def __truediv__(self, other: Any) -> Tensor:
        return self.graph.op("Div", self, other)

    def __neg__(self) -> Tensor:
        return self.graph.op("Neg", self)

    def __gt__(self, other: Any) -> Tensor:
        return self.graph.op("Greater", self, other)

    def __ge__(self, other: Any) -> Tensor:
        return self.graph.op("GreaterOrEqual", self, other)

    def __lt__(self, other: Any) -> Tensor:
        return self.graph.op("Less", self, other)

    def __le__(self, other: Any) -> Tensor:
        return self.graph.op("LessOrEqual", self, other)

    def equals(self, other: Any) -> Tensor:
        """Elementwise equality, of booleans."""
        return self.graph.op("Equal", self, other)

    def cast(self, dtype: int) -> Tensor:
        """The same values in another element type."""
        return self if dtype == self.dtype else self.graph.op("Cast", self, to=dtype)

    def where(self, yes: Any, no: Any, dtype: int | None = None) -> Tensor:
        """Of a tensor of booleans: `yes` where true, else `no`; `dtype` is that of both."""
        dtype = dtype or (yes if isinstance(yes, Tensor) else no).dtype
        yes, no = (x if isinstance(x, Tensor) else self.graph.constant(x, dtype) for x in (yes, no))
        return self.graph.op("Where", self, yes, no, dtype=dtype)

    def sum(self, axes: Sequence[int], *, keepdims: bool) -> Tensor:
        """The sum over some axes."""
        return self.graph.reduce("ReduceSum", self, axes, keepdims=keepdims)

    def mean(self, axes: Sequence[int], *, keepdims: bool) -> Tensor:
        """The mean over some axes."""
        return self.graph.reduce("ReduceMean", self, axes, keepdims=keepdims)

    def reshape(self, shape: Sequence[int] | Tensor) -> Tensor:
        """The same values in another shape, which may hold one -1."""
        return self.graph.op("Reshape", self, self.graph.integers(shape))


class Graph:
    """The model's graph and the nodes added to it, in opset 18 or later.

    Args:
        model: its shapes inferred; its names all begin with a prefix of their own, so that added
            ones meet none of them.
        prefix: of the names that are added.

    Attributes:
        known: what is known of the model's tensors.
        nodes: those added, in order.
        gradients: those of which a shape is known, by name.
    """

    def __init__(self, model: onnx.ModelProto, prefix: str = "gradient") -> None:
        self.model = model
        self._prefix = prefix
        self.known = KnownTensors(model.graph)
        self.nodes: list[onnx.NodeProto] = []
        self.gradients: dict[str, Tensor] = {}
        self._extended: dict[str, onnx.NodeProto] = {}
        self._constants: dict[tuple, Tensor] = {}
        self._shapes: dict[str, Tensor] = {}

    @cached_property
    def opset(self) -> int:
        """The version of the standard operators."""
        return next(o.version for o in self.model.opset_import if o.domain in ("", "ai.onnx"))

    def tensor(self, name: str) -> Tensor:
        """The model's own tensor of that name."""
        return Tensor(self, name, self.known.dtype(name), self.known.shape(name))

    def op(
        self, op_type: str, *inputs: Any, dtype: int | None = None, outputs: int = 1, **attributes
    ) -> Any:
        """Add a node; return its output, or a tuple where `outputs` is more than one.

        Args:
            inputs: tensors, arrays, None where an optional one is left out, or numbers, which take
                the element type of the first tensor.
            dtype: the element type of what comes out, where it is not the first tensor's.
        """
        first = next(x for x in inputs if isinstance(x, Tensor))
        names = [self._name(x, first.dtype) for x in inputs]
        dtype = dtype or attributes.get("to") or _RESULT_TYPES.get(op_type, first.dtype)
        stem = f"{self._prefix}/{op_type}_{len(self.nodes)}"
        made = [stem if outputs == 1 else f"{stem}_{i}" for i in range(outputs)]
        self.nodes.append(helper.make_node(op_type, names, made, name=stem, **attributes))
        results = tuple(Tensor(self, name, dtype) for name in made)
        return results[0] if outputs == 1 else results

    def add_output(self, node: onnx.NodeProto, position: int, name: str, dtype: int) -> Tensor:
        """A further output of one of the model's nodes, which is its last; the node stays as it
        is, and `forward_nodes` has a copy that gives it."""
        extended = onnx.NodeProto()
        extended.CopyFrom(node)
        del extended.output[position:]
        extended.output.append(name)
        self._extended[node.output[0]] = extended
        return Tensor(self, name, dtype)

    def forward_nodes(self) -> list[onnx.NodeProto]:
        """The model's nodes, with the outputs that were added."""
        nodes = self.model.graph.node
        return [self._extended.get(next(iter(node.output), ""), node) for node in nodes]

    def gradient(self, g: Tensor, name: str) -> Tensor:
        """`g`, of which is now known that it has the shape of the model's tensor `name`."""
        shape = self.known.shape(name)
        if shape is None or None in shape:
            return g
        return self.gradients.setdefault(g.name, Tensor(self, g.name, g.dtype, shape))

    def constant(self, value: Any, dtype: int | None = None) -> Tensor:
        """An initializer; equal ones are kept once. `dtype` defaults to the array's."""
        array = np.asarray(value)
        if dtype is not None:
            array = array.astype(helper.tensor_dtype_to_np_dtype(dtype))
        key = (array.dtype.str, array.shape, array.tobytes())
        if key not in self._constants:
            name = f"{self._prefix}/constant_{len(self._constants)}"
            self.model.graph.initializer.append(numpy_helper.from_array(array, name))
            dtype = helper.np_dtype_to_tensor_dtype(array.dtype)
            self._constants[key] = Tensor(self, name, dtype, array.shape)
        return self._constants[key]

    def integers(self, values: Sequence[int] | np.ndarray | Tensor) -> Tensor:
        """A vector of int64, as shapes and axes are; a tensor is given back as it is."""
        return values if isinstance(values, Tensor) else self.constant(values, TensorProto.INT64)

    def shape_of(self, x: Tensor) -> Tensor:
        """The shape of `x`, an int64 vector: a constant where it is known."""
        if x.shape is not None and all(isinstance(size, int) for size in x.shape):
            return self.integers(x.shape)
        if x.name not in self._shapes:
            self._shapes[x.name] = self.op("Shape", x)
        return self._shapes[x.name]

    def reshape_like(self, g: Tensor, x: Tensor) -> Tensor:
        """`g` in the shape of `x`, of which it has as many elements."""
        if x.shape is not None:
            sizes = [size if isinstance(size, int) else -1 for size in x.shape]
            if sizes.count(-1) <= 1 and 0 not in sizes:
                return g.reshape(sizes)
        return g.reshape(self.shape_of(x))

    def expand_like(self, g: Tensor, x: Tensor, y: Tensor) -> Tensor:
        """`g`, which has the axes of `y` and others of size 1, broadcast to the shape of `x`."""
        if x.shape is not None and y.shape is not None and None not in x.shape:
            open_sizes = Counter(size for size in x.shape if isinstance(size, str))
            if not open_sizes - Counter(y.shape):
                # `g` has these already, so the shape of `x` need not be looked up
                sizes = [size if isinstance(size, int) else 1 for size in x.shape]
                return self.op("Expand", g, self.integers(sizes))
        return self.op("Expand", g, self.shape_of(x))

    def zeros(self, shape: Tensor, dtype: int) -> Tensor:
        """Zeros of a shape, an int64 vector."""
        zero = numpy_helper.from_array(np.zeros(1, helper.tensor_dtype_to_np_dtype(dtype)))
        return self.op("ConstantOfShape", shape, dtype=dtype, value=zero)

    def reduce(
        self, op_type: str, x: Tensor, axes: Sequence[int] | Tensor, *, keepdims: bool
    ) -> Tensor:
        """Reduce over some axes; over none it is the identity."""
        return self.op(
            op_type, x, self.integers(axes), keepdims=int(keepdims), noop_with_empty_axes=1
        )

    def _name(self, x: Any, dtype: int) -> str:
        if x is None:
            return ""
        if isinstance(x, Tensor):
            return x.name
        return self.constant(x, None if isinstance(x, np.ndarray) else dtype).name
