"""Computing beforehand the shapes, axes and pads that exporters leave to be computed."""

from __future__ import annotations

import numpy as np
import onnx
from onnx import helper, numpy_helper

from rnascl_keras.export.gradient.evaluation import KNOWN, UNKNOWN, Partial
from rnascl_keras.export.gradient.known import KnownTensors, true_inputs
from rnascl_keras.export.gradient.registry import STANDARD
from rnascl_keras.export.gradient.reshaping import resolved, with_the_last_left_open

_SUFFIX = "/folded"
# Position of the input that is a shape.
_SHAPES = {"Reshape": 1, "Expand": 1, "ConstantOfShape": 0}


def fold_integers(graph: onnx.GraphProto) -> bool:
    """Replace, where nodes read them, integers that follow from constants by initializers.

    Shape inference looks no further than these, and than the sizes of tensors joined to them. So
    shapes of which only such sizes as the batch's are open are replaced, too: by constants and by
    what `Shape` gives of the graph's input. Returns whether there were any.

    Args:
        graph: with inferred shapes.
    """
    folding = _Folding(graph)
    nodes: list[onnx.NodeProto] = []
    for node in graph.node:
        if node.op_type != "Constant":
            for position in range(len(node.input)):
                nodes += folding.fold(node, position)
        nodes.append(node)
    if len(nodes) > len(graph.node):
        del graph.node[:]
        graph.node.extend(nodes)
    return folding.changed


class _Folding:
    """The walk through a graph, in order.

    Attributes:
        changed: whether anything was folded.
    """

    def __init__(self, graph: onnx.GraphProto) -> None:
        self.changed = False
        self._graph, self._known = graph, KnownTensors(graph)
        # what is read now, by the name of what was read before
        self._names: dict[str, str] = {}
        self._image = next((value.name for value in true_inputs(graph)), "")
        axes = self._known.shape(self._image) or ()
        # kind -> axis of the graph's input that has this size
        self._axes = {self._known.open_size(x): i for i, x in enumerate(axes) if isinstance(x, str)}

    def fold(self, node: onnx.NodeProto, position: int) -> list[onnx.NodeProto]:
        """Let `node` read what is folded, where that can be; return the nodes that make it."""
        name = node.input[position]
        is_shape = node.domain in STANDARD and position == _SHAPES.get(node.op_type)
        if is_shape and self._is_open(node.output[0]):
            return self._fold_shape(node, position)
        if name not in self._names:
            value = self._foldable_value(name, node)
            if value is None:
                return []
            self._names[name] = self._add(value, name + _SUFFIX)
        node.input[position] = self._names[name]
        return []

    def _is_open(self, name: str) -> bool:
        """Whether shape inference did not find all sizes of a tensor."""
        sizes = self._known.sizes(name)
        return sizes is None or not {KNOWN, *self._axes}.issuperset(sizes.kinds.tolist())

    def _foldable_value(self, name: str, reader: onnx.NodeProto) -> np.ndarray | None:
        """Return what `name` holds, where that follows: whole numbers, truth values, or the scales
        of a Resize."""
        producer = self._known.producers.get(name)
        if producer is None or producer.op_type == "Constant":
            return None
        value = self._known.value(name)
        if value is None or value.dtype in (np.int32, np.int64, np.bool_):
            return value
        return value if reader.op_type in ("Resize", "Upsample") else None

    def _fold_shape(self, node: onnx.NodeProto, position: int) -> list[onnx.NodeProto]:
        """Write a shape in a form that shape inference follows, if it is not in that form."""
        given = self._known.partly(node.input[position])
        if given is None or given.values.ndim != 1:
            return []
        shape = self._reshaped(node, given) if node.op_type == "Reshape" else given
        if not {KNOWN, *self._axes}.issuperset(shape.kinds.tolist()):
            return []
        written = node.input[position].endswith(_SUFFIX) or given.is_known
        same = np.array_equal(given.kinds, shape.kinds) and np.array_equal(
            given.values, shape.values
        )
        if written and same:
            return []
        stem = f"{node.output[0]}/shape_{len(self._graph.initializer)}{_SUFFIX}"
        node.input[position] = stem
        self.changed = True
        return self._shape_nodes(shape, stem)

    def _reshaped(self, node: onnx.NodeProto, shape: Partial) -> Partial:
        """Return a Reshape's shape as far as it can be worked out; of what is then left, the last
        is -1."""
        zeros_copy = not any(a.name == "allowzero" and a.i for a in node.attribute)
        if not zeros_copy and not shape.values[shape.kinds == KNOWN].all():
            return shape
        shape = resolved(self._named(shape), self._known.sizes(node.input[0]))
        return with_the_last_left_open(self._named(shape))

    def _named(self, shape: Partial) -> Partial:
        """Return `shape` with only those sizes named that the graph's input has."""
        kinds = np.where(np.isin(shape.kinds, [KNOWN, *self._axes]), shape.kinds, UNKNOWN)
        return Partial(shape.values, kinds, shape.is_known)

    def _shape_nodes(self, shape: Partial, stem: str) -> list[onnx.NodeProto]:
        """Return nodes that make a vector from constants and the input's open sizes."""
        if shape.is_known:
            self._add(shape.values, stem)
            return []
        nodes = [helper.make_node("Shape", [self._image], [f"{stem}/sizes"])]
        parts = [f"{stem}/{i}" for i in range(len(shape.kinds))]
        for i, (part, kind) in enumerate(zip(parts, shape.kinds.tolist(), strict=True)):
            if kind == KNOWN:
                self._add(shape.values[i : i + 1], part)
            else:
                axis = self._add(np.array([self._axes[kind]]), f"{part}/axis")
                nodes.append(helper.make_node("Gather", [f"{stem}/sizes", axis], [part], axis=0))
        return [*nodes, helper.make_node("Concat", parts, [stem], axis=0)]

    def _add(self, value: np.ndarray, name: str) -> str:
        tensor = numpy_helper.from_array(value, name)
        self._graph.initializer.append(tensor)
        # nodes further on read it, and are folded in the same walk
        self._known.add_constant(tensor)
        self.changed = True
        return name
