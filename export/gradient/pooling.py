"""Rules of pools over windows."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from onnx import TensorProto

from rnascl_keras.export.gradient.graph import Tensor
from rnascl_keras.export.gradient.registry import Step, Unsupported, rule
from rnascl_keras.export.gradient.windows import Windows, convolve_back, windows_of


@rule("AveragePool")
def average_pool(step: Step) -> dict[int, Tensor]:
    """The pool is a convolution, each channel by itself, with a kernel of ones."""
    graph, g = step.graph, step.gradient
    windows = windows_of(step, step.input(), step.output(), step.attribute("kernel_shape"))
    (channels,) = step.sizes(step.input(), 1)[:1]
    step.check_made(channels, *windows.kernel)
    for count, size in zip(windows.counts, windows.kernel, strict=True):
        step.check_made(count, size)
    counts = _counts(windows, padding_counts=bool(step.attribute("count_include_pad")))
    uniform = np.ptp(counts) == 0
    ones = np.ones((channels, 1, *windows.kernel))
    kernel = graph.constant(ones / counts.flat[0] if uniform else ones, g.dtype)
    if not uniform:
        g = g / graph.constant(counts, g.dtype)
    return {0: convolve_back(g, kernel, windows, channels)}


def _counts(windows: Windows, *, padding_counts: bool) -> np.ndarray:
    """Return how many values each window averages, of the shape `windows.counts`.

    A window can reach beyond the padding where the number of windows was rounded up; what lies
    there never counts.
    """
    total = np.ones(1)
    for axis, size in enumerate(windows.sizes):
        first, last = 0, size
        if padding_counts:
            first, last = -windows.begins[axis], size + windows.ends[axis]
        starts = np.arange(windows.counts[axis]) * windows.strides[axis] - windows.begins[axis]
        taps = starts[:, None] + np.arange(windows.kernel[axis]) * windows.dilations[axis]
        inside = np.sum((taps >= first) & (taps < last), axis=1)
        total = total[..., None] * inside
    # (1, *counts) -> (*counts)
    return total[0]


@rule("LpPool")
def norm_pool(step: Step) -> dict[int, Tensor]:
    """The root of a pool of powers: y = (sum of |x|^p)^(1/p)."""
    g, x = step.gradient, step.input()
    windows = windows_of(step, x, step.output(), step.attribute("kernel_shape"))
    (channels,) = step.sizes(x, 1)[:1]
    step.check_made(channels, *windows.kernel)
    kernel = step.graph.constant(np.ones((channels, 1, *windows.kernel)), g.dtype)
    return {0: _by_powers(step, lambda part: convolve_back(part, kernel, windows, channels))}


@rule("GlobalLpPool")
def global_norm_pool(step: Step) -> dict[int, Tensor]:
    return {0: _by_powers(step, lambda part: part)}


def _by_powers(step: Step, to_values: Callable[[Tensor], Tensor]) -> Tensor:
    """Return sign(x) |x|^(p - 1) times g y^(1 - p), led back by `to_values`; 0 where y is 0."""
    graph, x, y, power = step.graph, step.input(), step.output(), step.attribute("p")
    share = (y > 0).where(step.gradient / graph.op("Pow", y, power - 1), 0)
    size = graph.op("Pow", graph.op("Abs", x), power - 1)
    return to_values(share) * size * graph.op("Sign", x)


@rule("MaxPool")
def max_pool(step: Step) -> dict[int, Tensor]:
    """To the value that the pool chose; of those that tie, it is the first."""
    graph, g, x = step.graph, step.gradient, step.input()
    if step.attribute("storage_order"):
        raise Unsupported("its storage order is by columns")
    windows = windows_of(step, x, step.output(), step.attribute("kernel_shape"))
    if step.has_output(1):
        places = Tensor(graph, step.node.output[1], TensorProto.INT64)
    else:
        name = f"gradient/{step.node.output[0]}/indices"
        places = graph.add_output(step.node, 1, name, TensorProto.INT64)
    # an index counts through the whole tensor, batch and channels included
    if not windows.overlap and windows.inside and g.dtype == TensorProto.FLOAT:
        # faster than to scatter; onnxruntime has it for float32 alone, and, told of no padding,
        # refuses a shape that the windows reach beyond
        size: Any = {"kernel_shape": windows.kernel, "strides": windows.strides}
        return {0: graph.op("MaxUnpool", g, places, graph.op("Shape", x), **size)}
    flat = graph.zeros(graph.op("Size", x).reshape([1]), g.dtype)
    reduction = "add" if windows.overlap else "none"
    values = (places.reshape([-1]), g.reshape([-1]))
    flat = graph.op("ScatterElements", flat, *values, axis=0, reduction=reduction)
    return {0: graph.reshape_like(flat, x)}
