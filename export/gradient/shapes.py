"""Rules of operators that move values and compute none."""

from __future__ import annotations

from typing import Any

import numpy as np
from onnx import TensorProto

from rnascl_keras.export.gradient.graph import Graph, Tensor
from rnascl_keras.export.gradient.padding import LAST, crop, zeros_between
from rnascl_keras.export.gradient.registry import Step, Unsupported, known_shape, rule

_INT64 = TensorProto.INT64


@rule("Reshape", "Flatten", "Squeeze", "Unsqueeze")
def reshape(step: Step) -> dict[int, Tensor]:
    return {0: step.graph.reshape_like(step.gradient, step.input())}


@rule("Transpose")
def transpose(step: Step) -> dict[int, Tensor]:
    perm = step.attribute("perm")
    # the default, all axes reversed, is its own inverse
    order: dict[str, Any] = {} if perm is None else {"perm": np.argsort(perm).tolist()}
    return {0: step.graph.op("Transpose", step.gradient, **order)}


@rule("DepthToSpace", "SpaceToDepth")
def depth_and_space(step: Step) -> dict[int, Tensor]:
    if step.node.op_type == "SpaceToDepth":
        order = {"blocksize": step.attribute("blocksize"), "mode": "DCR"}
        return {0: step.graph.op("DepthToSpace", step.gradient, **order)}
    g, block = step.gradient, step.attribute("blocksize")
    if step.attribute("mode") == b"CRD":
        g = step.graph.op("SpaceToDepth", g, blocksize=block)
        # (n, block * block * c, h, w) -> (n, c, block * block, h, w)
        apart = g.reshape([0, block * block, -1, *step.sizes(step.input(), 2)])
        return {0: step.graph.reshape_like(_swap_1_2(apart), step.input())}
    return {0: step.graph.op("SpaceToDepth", g, blocksize=block)}


def _swap_1_2(x: Tensor) -> Tensor:
    return x.graph.op("Transpose", x, perm=[0, 2, 1, 3, 4])


@rule("Concat", inputs=None)
def concat(step: Step) -> dict[int, Tensor]:
    graph, axis = step.graph, step.attribute("axis")
    parts = [step.input(i) for i in range(len(step.node.input))]
    if len(parts) == 1:
        return {0: step.gradient}
    sizes = [_size(part, axis) for part in parts]
    split = graph.op("Concat", *sizes, axis=0)
    pieces = graph.op("Split", step.gradient, split, outputs=len(parts), axis=axis)
    return dict(enumerate(pieces))


@rule("Split")
def split(step: Step) -> dict[int, Tensor]:
    graph = step.graph
    dtype = next(g.dtype for g in step.gradients if g)
    pieces = [
        g or graph.zeros(graph.shape_of(step.output(i)), dtype)
        for i, g in enumerate(step.gradients)
    ]
    return {0: graph.op("Concat", *pieces, axis=step.attribute("axis"))}


@rule("Slice")
def slice_(step: Step) -> dict[int, Tensor]:
    """Zeros around what was cut out; with steps, each value goes back to its place."""
    graph, g, x = step.graph, step.gradient, step.input()
    rank, shape, starts = step.rank(), known_shape(x), step.constant(1)
    axes = step.constant(3) if step.has(3) else np.arange(len(starts))
    steps = step.constant(4) if step.has(4) else np.ones(len(starts), np.int64)
    axes = axes % rank
    if (steps > 1).any() and (steps > 0).all() and axes.min() >= 2 and _is_known(shape[1:]):
        return {0: _spread(step, starts, axes, steps)}
    whole, begins = graph.shape_of(x), np.zeros(rank, np.int64)
    for i, axis in enumerate(map(int, axes)):
        if steps[i] == 1:
            begins[axis] = starts[i]
        else:
            places = graph.op("Range", 0, _scalar(_size(x, axis)), 1)
            here = graph.integers([i])
            bounds = [graph.op("Gather", step.input(k).cast(_INT64), here) for k in (1, 2)]
            places = graph.op(
                "Slice", places, *bounds, graph.integers([0]), graph.integers([steps[i]])
            )
            g = add_at(g, axis, places, _size(x, axis), rank)
    # from the end where negative, and never outside
    first = graph.integers(begins)
    if (begins < 0).any():
        first = first + whole * graph.integers(begins < 0)
    first = graph.op("Min", graph.op("Max", first, graph.integers([0])), whole)
    after = whole - graph.op("Shape", g) - first
    return {0: graph.op("Pad", g, graph.op("Concat", first, after, axis=0))}


def _is_known(shape: tuple) -> bool:
    return all(isinstance(size, int) for size in shape)


def _spread(step: Step, starts: np.ndarray, axes: np.ndarray, steps: np.ndarray) -> Tensor:
    """Lead every `steps`-th value of spatial axes back, all sizes but the batch's being known."""
    channels, *counts = step.sizes(step.output(), 1)
    sizes = np.array(step.sizes(step.input(), 2))
    strides, begins = np.ones_like(sizes), np.zeros_like(sizes)
    strides[axes - 2], begins[axes - 2] = steps, starts
    # behind a single value there are no zeros to put between
    strides = np.where(np.equal(counts, 1), 1, strides)
    # from the end where negative, and never outside
    begins = np.clip(np.where(begins < 0, begins + sizes, begins), 0, sizes)
    g = zeros_between(step.gradient, channels, counts, strides)
    ends = sizes - begins - counts * strides
    return crop(g, *(-np.pad(around, (2, 0)) for around in (begins, ends)))


@rule("Gather")
def gather(step: Step) -> dict[int, Tensor]:
    graph, g, rank = step.graph, step.gradient, step.rank()
    axis = step.attribute("axis") % rank
    indices = step.input(1)
    if indices.shape is None:
        raise Unsupported("its indices' number of axes is unknown")
    # (before, *indices, after) -> (before, number of indices, after)
    shape = graph.op("Shape", g)
    cuts = [graph.integers([cut]) for cut in (0, axis, axis + len(indices.shape), LAST)]
    before, after = (graph.op("Slice", shape, *cuts[i : i + 2]) for i in (0, 2))
    flat = g.reshape(graph.op("Concat", before, graph.integers([-1]), after, axis=0))
    places = indices.reshape([-1]).cast(_INT64)
    return {0: add_at(flat, axis, places, _size(step.input(), axis), rank)}


@rule("Pad")
def pad(step: Step) -> dict[int, Tensor]:
    graph, g, x, rank = step.graph, step.gradient, step.input(), step.rank()
    mode = step.attribute("mode").decode()
    pads = step.constant(1)
    axes = step.constant(3) if step.has(3) else np.arange(rank)
    begins, ends = np.zeros((2, rank), np.int64)
    begins[axes], ends[axes] = pads[: len(axes)], pads[len(axes) :]
    if mode == "constant":
        return {0: crop(g, begins, ends)}
    for axis in np.flatnonzero((begins != 0) | (ends != 0)):
        size = _size(x, int(axis))
        places = graph.op("Range", 0, _scalar(size), 1)
        places = graph.op("Pad", places, graph.integers([begins[axis], ends[axis]]), mode=mode)
        g = add_at(g, int(axis), places, size, rank)
    return {0: g}


@rule("Tile")
def tile(step: Step) -> dict[int, Tensor]:
    """The sum over the copies."""
    graph, x = step.graph, step.input()
    repeats = step.constant(1)
    sizes = [size if isinstance(size, int) else -1 for size in known_shape(x)]
    # (repeats * size, ..) -> (repeats, size, ..)
    apart: Any = [n for pair in zip(repeats.tolist(), sizes, strict=True) for n in pair]
    if sizes.count(-1) > 1:
        pairs = [
            graph.op("Unsqueeze", n, graph.integers([1]))
            for n in (graph.integers(repeats), graph.shape_of(x))
        ]
        apart = graph.op("Concat", *pairs, axis=1).reshape([-1])
    return {0: step.gradient.reshape(apart).sum(range(0, 2 * len(sizes), 2), keepdims=False)}


@rule("Trilu")
def triangle(step: Step) -> dict[int, Tensor]:
    diagonal = [step.input(1)] if step.has(1) else []
    return {0: step.graph.op("Trilu", step.gradient, *diagonal, upper=step.attribute("upper"))}


@rule("ReverseSequence")
def reverse_sequence(step: Step) -> dict[int, Tensor]:
    """It is its own inverse."""
    axes = {name: step.attribute(name) for name in ("batch_axis", "time_axis")}
    return {0: step.graph.op("ReverseSequence", step.gradient, step.input(1), **axes)}


def add_at(g: Tensor, axis: int, places: Tensor, size: Tensor, rank: int) -> Tensor:
    """Return zeros of `size` along `axis`, where slice k of `g` is added at places[k].

    Args:
        g: of `rank` axes.
        places: (k,) int64; may repeat, may be negative.
        size: (1,) int64.
    """
    graph = g.graph
    shape = graph.op("Shape", g)
    here = graph.constant(np.arange(rank) == axis)
    # (k,) -> (1, .., k, .., 1) -> shape of g
    column = places.reshape([-1 if i == axis else 1 for i in range(rank)])
    places = graph.op("Expand", column, shape)
    zeros = graph.zeros(here.where(size, shape), g.dtype)
    return graph.op("ScatterElements", zeros, places, g, axis=axis, reduction="add")


def _size(x: Tensor, axis: int) -> Tensor:
    """Return the size of an axis, (1,) int64."""
    graph: Graph = x.graph
    if x.shape is not None and isinstance(x.shape[axis], int):
        return graph.integers([x.shape[axis]])
    return graph.op("Gather", graph.shape_of(x), graph.integers([axis]))


def _scalar(size: Tensor) -> Tensor:
    # (1,) -> ()
    return size.graph.op("Squeeze", size, size.graph.integers([0]))
