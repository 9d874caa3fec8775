"""Slices and resizes of axes that they leave whole, which exporters write and need not have."""

from __future__ import annotations

import numpy as np
import onnx
from onnx import helper, numpy_helper

from rnascl_keras.export.gradient.evaluation import KNOWN, Partial
from rnascl_keras.export.gradient.known import KnownTensors
from rnascl_keras.export.gradient.registry import attributes_of

# From here on an end is what exporters write for: all of an axis whose size is open.
_END = 10**9
# From here on a Resize can say which axes it is of.
_OPSET_OF_AXES = 18


def leave_out_whole_axes(graph: onnx.GraphProto, opset: int) -> bool:
    """Leave out the axes of which a Slice takes all, and those of open size that a Resize keeps;
    return whether there were any.

    TensorFlow slices all axes, the batch too, and shape inference then no longer knows that its
    size is the batch's. PyTorch joins the sizes of a Resize to those of the batch and channels,
    and shape inference then knows none.

    Args:
        graph: with inferred shapes.
        opset: of the standard operators.
    """
    known = KnownTensors(graph)
    shortened = [
        node
        for node in graph.node
        if (node.op_type == "Slice" and _shorten_slice(graph, known, node))
        or (
            node.op_type == "Resize"
            and opset >= _OPSET_OF_AXES
            and _shorten_resize(graph, known, node)
        )
    ]
    return bool(shortened)


def _shorten_slice(graph: onnx.GraphProto, known: KnownTensors, node: onnx.NodeProto) -> bool:
    shape = known.shape(node.input[0])
    given = [known.partly(name) if name else None for name in node.input[1:]]
    bounds = [value for value in given if value is not None]
    if shape is None or len(bounds) < 3 or len(bounds) < len(given):
        return False
    starts, ends, axes = (bound.values for bound in bounds[:3])
    steps = bounds[3].values if len(bounds) > 3 else np.ones_like(starts)
    if not starts.shape == ends.shape == axes.shape == steps.shape == (axes.size,):
        return False
    if not bounds[2].is_known or not all(-len(shape) <= axis < len(shape) for axis in axes):
        return False
    sizes = [shape[axis] for axis in axes]
    lasts = np.array([size if isinstance(size, int) else _END for size in sizes])
    whole = ((ends >= lasts) & (bounds[1].kinds == KNOWN)) | _is_size(bounds[1], sizes, known)
    whole &= (starts == 0) & (steps == 1)
    for bound in (bounds[0], *bounds[3:]):
        whole &= bound.kinds == KNOWN
    parts = ~whole
    if parts.all() or not parts.any():
        return False
    if any(bound.kinds[parts].any() for bound in bounds):
        return False
    for position, values in enumerate((starts, ends, axes, steps), start=1):
        name = f"{node.output[0]}/{position}"
        graph.initializer.append(numpy_helper.from_array(values[parts], name))
        if position < len(node.input):
            node.input[position] = name
        else:
            node.input.append(name)
    return True


def _shorten_resize(graph: onnx.GraphProto, known: KnownTensors, node: onnx.NodeProto) -> bool:
    shape = known.shape(node.input[0])
    sizes = known.partly(node.input[3]) if len(node.input) > 3 else None
    given = attributes_of(node)
    if shape is None or sizes is None or sizes.is_known or sizes.values.shape != (len(shape),):
        return False
    kept = _is_size(sizes, list(shape), known)
    # these are of all axes at once; PyTorch says in words that it keeps no ratio
    keeps_ratio = given.get("keep_aspect_ratio_policy", b"stretch") != b"stretch"
    if keeps_ratio or "axes" in given or sizes.kinds[~kept].any():
        return False
    if given.get("coordinate_transformation_mode") == b"tf_crop_and_resize":
        return False
    name = f"{node.output[0]}/sizes"
    graph.initializer.append(numpy_helper.from_array(sizes.values[~kept], name))
    node.input[3] = name
    node.attribute.append(helper.make_attribute("axes", np.flatnonzero(~kept).tolist()))
    return True


def _is_size(values: Partial, sizes: list, known: KnownTensors) -> np.ndarray:
    """Return which of the values are sizes left open, the same as in `sizes`."""
    own = [known.open_size(size) if isinstance(size, str) else KNOWN for size in sizes]
    return (values.kinds > 0) & (values.kinds == np.array(own))
