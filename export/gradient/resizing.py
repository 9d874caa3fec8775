"""The rule of Resize, which is linear along each axis on its own."""

from __future__ import annotations

import numpy as np
import onnx
from onnx import helper

from rnascl_keras.export.gradient.graph import Tensor
from rnascl_keras.export.gradient.registry import Step, Unsupported, rule

# of the matrix for one axis, 1024 by 1024; it is made slowly
_LARGEST = 2**20


@rule("Resize")
def resize(step: Step) -> dict[int, Tensor]:
    """Along each axis that changes, a product with the matrix that resizing multiplies by.

    The matrix is what onnx's own evaluator makes of the identity, so every way of choosing
    coordinates and of interpolating is covered.
    """
    if step.attribute("coordinate_transformation_mode") == b"tf_crop_and_resize":
        raise Unsupported("it crops by a region of interest")
    if step.attribute("keep_aspect_ratio_policy") not in (None, b"stretch"):
        raise Unsupported("it keeps the aspect ratio")
    graph, g, rank = step.graph, step.gradient, step.rank()
    axes = [axis % rank for axis in step.attribute("axes") or range(rank)]
    scaled = step.has(2) and step.constant(2).size > 0
    factors = step.constant(2 if scaled else 3)
    for axis, factor in zip(axes, factors, strict=True):
        x, y = step.input().shape[axis], step.output().shape[axis]
        if scaled and factor == 1 or not scaled and x == y:
            continue
        if not isinstance(x, int) or not isinstance(y, int):
            raise Unsupported("sizes that it changes are left open; fix the image size")
        if x * max(x, y) > _LARGEST:
            raise Unsupported(f"it resizes an axis from {x} to {y}; expected at most 1024")
        # (out, in)
        matrix = graph.constant(_matrix(step, x, y, factor if scaled else None), g.dtype)
        g = _along(g, axis, matrix, rank)
    return {0: g}


def _matrix(step: Step, size: int, new_size: int, scale: float | None) -> np.ndarray:
    """Return the matrix, (new_size, size), that this node resizes one axis by."""
    from onnx.reference import ReferenceEvaluator

    node = onnx.NodeProto()
    node.CopyFrom(step.node)
    del node.attribute[:], node.input[:], node.output[:]
    kept = (a for a in step.node.attribute if a.name not in ("axes", "keep_aspect_ratio_policy"))
    node.attribute.extend(kept)
    node.attribute.append(helper.make_attribute("axes", [1]))
    node.output.append("y")
    feeds = {"x": np.eye(size)}
    if scale is None:
        node.input.extend(["x", "", "", "sizes"])
        feeds["sizes"] = np.array([new_size])
    else:
        node.input.extend(["x", "", "scales"])
        feeds["scales"] = np.array([scale], np.float32)
    # row k is what becomes of the k-th unit vector: (in, out)
    return ReferenceEvaluator(node).run(None, feeds)[0].T


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
