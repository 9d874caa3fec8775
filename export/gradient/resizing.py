"""The rule of Resize, which is linear along each axis on its own."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from rnascl_keras.errors import one_line
from rnascl_keras.export.gradient.graph import Tensor
from rnascl_keras.export.gradient.registry import Step, Unsupported, known_shape, rule

# of the matrix for one axis, 1024 by 1024
_LARGEST = 2**20
# what the node says of its own axes, not of how one is resized
_OF_SIZES = ("axes", "keep_aspect_ratio_policy")


@rule("Resize")
def resize(step: Step) -> dict[int, Tensor]:
    """Along each axis that changes, a product with the matrix that resizing multiplies by.

    The matrix is what onnxruntime, which runs the file, makes of the identity, so every way of
    choosing coordinates and of interpolating is covered: onnx's own evaluator differs where a scale
    times a size is not whole. That the axes are resized one after the other is checked, too.
    """
    if step.attribute("coordinate_transformation_mode") == b"tf_crop_and_resize":
        raise Unsupported("it crops by a region of interest")
    if step.attribute("keep_aspect_ratio_policy") not in (None, b"stretch"):
        raise Unsupported("it keeps the aspect ratio")
    graph, g, rank = step.graph, step.gradient, step.rank()
    axes = [axis % rank for axis in step.attribute("axes") or range(rank)]
    scaled = step.has(2) and step.constant(2).size > 0
    factors = step.constant(2 if scaled else 3)
    scales = np.ones(rank, np.float32) if scaled else None
    matrices = {}
    for axis, factor in zip(axes, factors, strict=True):
        x, y = known_shape(step.input())[axis], known_shape(step.output())[axis]
        if scaled and factor == 1 or not scaled and x == y:
            continue
        if not isinstance(x, int) or not isinstance(y, int):
            raise Unsupported("sizes that it changes are left open; fix the image size")
        if x * max(x, y) > _LARGEST:
            raise Unsupported(f"it resizes an axis from {x} to {y}; expected at most 1024")
        if scales is not None:
            scales[axis] = factor
        matrices[axis] = _matrix(step, x, y, factor if scaled else None)  # (out, in)
    if g.dtype != TensorProto.DOUBLE:
        _check_all_axes(step, matrices, scales)
    for axis, matrix in matrices.items():
        g = _along(g, axis, graph.constant(matrix, g.dtype), rank)
    return {0: g}


def _matrix(step: Step, size: int, new_size: int, scale: float | None) -> np.ndarray:
    """Return the matrix, (new_size, size), that this node resizes one axis by."""
    if step.gradient.dtype == TensorProto.DOUBLE:  # onnxruntime resizes no float64
        return _evaluated(step, size, new_size, scale)
    scales = None if scale is None else np.array([1, 1, scale, 1], np.float32)
    identity = np.eye(size, dtype=np.float32).reshape(1, 1, size, size)
    # column k is what becomes of the k-th unit vector along the third axis
    return _in_onnxruntime(_single_node(step, (1, 1, new_size, size), scales), identity)[0, 0]


def _evaluated(step: Step, size: int, new_size: int, scale: float | None) -> np.ndarray:
    """Return the same matrix as onnx's own evaluator has it, in float64."""
    from onnx.reference import ReferenceEvaluator

    scales = None if scale is None else np.array([scale], np.float32)
    model = _single_node(step, (new_size,), scales)
    node = model.graph.node[0]
    node.attribute.append(helper.make_attribute("axes", [1]))
    given = {t.name: numpy_helper.to_array(t) for t in model.graph.initializer}
    # row k is what becomes of the k-th unit vector: (in, out)
    results: Any = ReferenceEvaluator(node).run(None, {"x": np.eye(size), **given})
    return results[0].T


def _check_all_axes(step: Step, axes: dict[int, np.ndarray], scales: np.ndarray | None) -> None:
    """Raise Unsupported unless onnxruntime resizes all axes at once as their matrices do.

    Args:
        axes: (out, in) of each axis that changes.
        scales: of every axis, where the node gives such.
    """
    shape = [axes[k].shape[1] if k in axes else 2 for k in range(step.rank())]
    new_shape = [axes[k].shape[0] if k in axes else 2 for k in range(step.rank())]
    images = np.random.default_rng(0).uniform(-1, 1, shape).astype(np.float32)
    expected = images
    for axis, matrix in axes.items():
        expected = np.moveaxis(np.tensordot(matrix, expected, (1, axis)), 0, axis)
    found = _in_onnxruntime(_single_node(step, new_shape, scales), images)
    if found.shape != expected.shape or not np.allclose(found, expected, atol=1e-4):
        raise Unsupported("onnxruntime does not resize its axes one after the other")


def _single_node(
    step: Step, new_shape: Sequence[int], scales: np.ndarray | None
) -> onnx.ModelProto:
    """Return a model of one Resize with this node's attributes, to a shape or by scales."""
    node = helper.make_node("Resize", ["x", "", "scales"], ["y"])
    node.attribute.extend(a for a in step.node.attribute if a.name not in _OF_SIZES)
    if scales is None:
        node.input[:] = ["x", "", "", "sizes"]
        given = numpy_helper.from_array(np.array(new_shape, np.int64), "sizes")
    else:
        given = numpy_helper.from_array(scales, "scales")
    ends = [helper.make_tensor_value_info(n, TensorProto.FLOAT, None) for n in ("x", "y")]
    graph = helper.make_graph([node], "resize", ends[:1], ends[1:], [given])
    opset = helper.make_opsetid("", step.graph.opset)
    return helper.make_model(graph, opset_imports=[opset], ir_version=10)


def _in_onnxruntime(model: onnx.ModelProto, images: np.ndarray) -> np.ndarray:
    """Return what onnxruntime makes of float32 `images`."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4  # what it cannot do is raised
    try:
        session = onnxruntime.InferenceSession(model.SerializeToString(), options)
        return np.asarray(session.run(None, {"x": images})[0])
    except Exception as error:  # onnxruntime's errors have no closer base class
        raise Unsupported(f"onnxruntime cannot resize so: {one_line(error)}") from error


def _along(g: Tensor, axis: int, matrix: Tensor, rank: int) -> Tensor:
    """Multiply along an axis: (.., out, ..) by (out, in) -> (.., in, ..)."""
    graph = g.graph
    order = list(range(rank))
    order[axis], order[-1] = order[-1], order[axis]
    if axis == rank - 1:
        return graph.op("MatMul", g, matrix)
    # swapping two axes is its own inverse
    moved = graph.op("MatMul", graph.op("Transpose", g, perm=order), matrix)
    return graph.op("Transpose", moved, perm=order)
