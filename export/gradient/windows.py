"""Where the windows of convolutions and pools lie, along each spatial axis."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np

from rnascl_keras.export.gradient.graph import Tensor
from rnascl_keras.export.gradient.padding import crop, zeros_between
from rnascl_keras.export.gradient.registry import Step, known_shape

# The Conv after zeros are put between multiplies so many times more often than is needed.
_MOST_SPREAD = 4
# Convolutions to so few channels, such as an image's, are computed as for 8 or 16 of them.
_FEW_CHANNELS = 4


@dataclass(frozen=True)
class Windows:
    """Window k starts at k * stride - begin, and takes every dilation-th value.

    Attributes: each has one entry a spatial axis; `begins` and `ends` are the padding.
    """

    sizes: tuple[int, ...]
    counts: tuple[int, ...]
    kernel: tuple[int, ...]
    strides: tuple[int, ...]
    dilations: tuple[int, ...]
    begins: tuple[int, ...]
    ends: tuple[int, ...]

    @property
    def reach(self) -> tuple[int, ...]:
        """How far a window's last value lies from its first."""
        return tuple(d * (k - 1) for k, d in zip(self.kernel, self.dilations, strict=True))

    @property
    def overlap(self) -> bool:
        """Whether a value can be in two windows."""
        return any(r >= s for r, s in zip(self.reach, self.strides, strict=True))

    @property
    def inside(self) -> bool:
        """Whether so many windows fit in without padding."""
        return all(s <= size for s, size in zip(self.span, self.sizes, strict=True))

    @property
    def span(self) -> tuple[int, ...]:
        """How many values lie from the first of the first window to the last of the last."""
        axes = zip(self.counts, self.strides, self.reach, strict=True)
        return tuple((count - 1) * s + r + 1 for count, s, r in axes)

    @property
    def behind(self) -> tuple[int, ...]:
        """How many values, padding included, lie behind the last window; negative where it reaches
        beyond the padding, as their number was rounded up."""
        axes = zip(self.sizes, self.begins, self.ends, self.span, strict=True)
        return tuple(size + begin + end - span for size, begin, end, span in axes)


def windows_of(step: Step, sized: Tensor, counted: Tensor, kernel: list[int]) -> Windows:
    """Read a node's windows: over the spatial axes of `sized`, one for each value of `counted`."""
    axes = len(kernel)
    sizes, counts = step.sizes(sized, 2), step.sizes(counted, 2)
    strides = step.attribute("strides") or [1] * axes
    dilations = step.attribute("dilations") or [1] * axes
    pads = step.attribute("pads") or [0] * (2 * axes)
    automatic = (step.attribute("auto_pad") or b"NOTSET").decode()
    if automatic == "VALID":
        pads = [0] * (2 * axes)
    elif automatic.startswith("SAME") or step.attribute("output_shape"):
        shapes = zip(sizes, counts, kernel, strides, dilations, strict=True)
        extra = step.attribute("output_padding") or [0] * axes
        total = [(c - 1) * s + d * (k - 1) + 1 - n for n, c, k, s, d in shapes]
        total = [max(t + e, 0) for t, e in zip(total, extra, strict=True)]
        less, more = [t // 2 for t in total], [t - t // 2 for t in total]
        pads = less + more if automatic == "SAME_UPPER" else more + less
    return Windows(
        *map(tuple, (sizes, counts, kernel, strides, dilations, pads[:axes], pads[axes:]))
    )


def convolve_back(g: Tensor, kernel: Tensor, windows: Windows, groups: int) -> Tensor:
    """Lead each window's gradient back to the values that it was made from.

    Where windows move by 1 this is a Conv with the kernel turned round, which onnxruntime runs on
    a CPU several times faster than the same thing as a ConvTranspose. Where they move by 2, and
    each channel is convolved by itself, it is that Conv after zeros are put between. Else it is a
    ConvTranspose, which was faster there (`benchmarks.strided_gradient`), as it is where no more
    channels come out than an image has.

    Args:
        g: (batch, out, *windows.counts).
        kernel: of the convolution that made the windows, (out, in / groups, *windows.kernel).
        groups: of channels.

    Returns:
        (batch, in, *windows.sizes).
    """
    out, each, *_ = known_shape(kernel)
    depthwise = groups == out == groups * each
    if depthwise and 1 < math.prod(windows.strides) <= _MOST_SPREAD:
        g = zeros_between(g, groups, windows.counts, windows.strides)
        counts = tuple(c * s for c, s in zip(windows.counts, windows.strides, strict=True))
        windows = replace(windows, counts=counts, strides=(1,) * len(counts))
    attributes = {"kernel_shape": windows.kernel, "dilations": windows.dilations, "group": groups}
    sizes, counts = np.array(windows.sizes), np.array(windows.counts)
    begins, ends, reach = (np.array(x) for x in (windows.begins, windows.ends, windows.reach))
    few = groups == 1 and each <= _FEW_CHANNELS and not depthwise
    if max(windows.strides) == 1 and not few:
        pads = np.array([reach - begins, sizes - counts + begins])
        cut = np.pad(np.maximum(-pads, 0), [(0, 0), (2, 0)])
        pads = np.maximum(pads, 0).ravel().tolist()
        turned = _turned(kernel, groups)
        return g.graph.op("Conv", crop(g, *cut), turned, pads=pads, **attributes)
    behind = np.array(windows.behind)
    # as if there were more of it where the last window reaches beyond the padding
    pads = np.array([begins, ends + np.maximum(-behind, 0)]).ravel().tolist()
    attributes |= {"strides": windows.strides, "output_padding": np.maximum(behind, 0).tolist()}
    return g.graph.op("ConvTranspose", g, kernel, pads=pads, **attributes)


def _turned(kernel: Tensor, groups: int) -> Tensor:
    """(out, in / groups, *size) -> (in, out / groups, *size), each channel's kernel reversed."""
    graph, (out, each, *size) = kernel.graph, known_shape(kernel)
    axes = list(range(2, 2 + len(size)))
    if groups == 1:
        swapped = graph.op("Transpose", kernel, perm=[1, 0, *axes])
    else:
        # (groups, out / groups, in / groups, *size), swapped, then groups and inputs joined
        grouped = kernel.reshape([groups, out // groups, each, *size])
        perm = [0, 2, 1, *(axis + 1 for axis in axes)]
        swapped = graph.op("Transpose", grouped, perm=perm)
        swapped = swapped.reshape([groups * each, out // groups, *size])
    if set(size) <= {1}:
        return swapped
    ends = [np.iinfo(np.int64).min] * len(size)
    bounds = ([-1] * len(size), ends, axes, [-1] * len(size))
    return graph.op("Slice", swapped, *map(graph.integers, bounds))
