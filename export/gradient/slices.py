"""Slices written as exporters need not have."""

from __future__ import annotations

import numpy as np
import onnx
from onnx import numpy_helper

from rnascl_keras.export.gradient.known import KnownTensors

# From here on an end is what exporters write for: all of an axis whose size is open.
_END = 10**9


def shorten_slices(graph: onnx.GraphProto) -> bool:
    """Leave out the axes of which a Slice takes all; return whether there were any.

    TensorFlow slices all axes, the batch too, and shape inference then no longer knows that its
    size is the batch's.

    Args:
        graph: with inferred shapes, in opset 10 or later.
    """
    known = KnownTensors(graph)
    shortened = [
        node for node in graph.node if node.op_type == "Slice" and _shorten(graph, known, node)
    ]
    return bool(shortened)


def _shorten(graph: onnx.GraphProto, known: KnownTensors, node: onnx.NodeProto) -> bool:
    shape = known.shape(node.input[0])
    given = [known.value(name) if name else None for name in node.input[1:]]
    bounds = [value for value in given if value is not None]
    if shape is None or len(bounds) < 3 or len(bounds) < len(given):
        return False
    starts, ends, axes = bounds[:3]
    steps = bounds[3] if len(bounds) > 3 else np.ones_like(starts)
    if not starts.shape == ends.shape == axes.shape == steps.shape == (axes.size,):
        return False
    if not all(-len(shape) <= axis < len(shape) for axis in axes):
        return False
    sizes = [shape[axis] for axis in axes]
    lasts = np.array([size if isinstance(size, int) else _END for size in sizes])
    parts = (starts != 0) | (ends < lasts) | (steps != 1)
    if parts.all() or not parts.any():
        return False
    for position, values in enumerate((starts, ends, axes, steps), start=1):
        name = f"{node.output[0]}/{position}"
        graph.initializer.append(numpy_helper.from_array(values[parts], name))
        if position < len(node.input):
            node.input[position] = name
        else:
            node.input.append(name)
    return True
