"""Where the windows of convolutions and pools lie, along each spatial axis."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from rnascl_keras.export.gradient.graph import Tensor
from rnascl_keras.export.gradient.registry import Step
from rnascl_keras.export.gradient.shapes import crop


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

    It is a convolution, by 1, of the gradient with zeros put between where windows move by more.
    onnxruntime runs it on a CPU several times faster than the same thing as a ConvTranspose.

    Args:
        g: (batch, out, *windows.counts).
        kernel: (in, out / groups, *windows.kernel), its last value on the windows' first.
        groups: of channels.

    Returns:
        (batch, in, *windows.sizes).
    """
    reach, strides = np.array(windows.reach), np.array(windows.strides)
    begins = reach - windows.begins
    # behind the last gradient lie strides - 1 zeros already
    ends = np.array(windows.sizes) - np.array(windows.counts) * strides + windows.begins
    inside = [np.concatenate([[0, 0], np.maximum(-pads, 0)]) for pads in (begins, ends)]
    g = crop(_stuffed(g, windows), *inside)
    pads = [int(max(pad, 0)) for pad in (*begins, *ends)]
    attributes = {"kernel_shape": windows.kernel, "dilations": windows.dilations, "pads": pads}
    return g.graph.op("Conv", g, kernel, group=groups, **attributes)


def _stuffed(g: Tensor, windows: Windows) -> Tensor:
    """Put strides - 1 zeros behind each value, along each spatial axis."""
    axes = len(windows.kernel)
    if max(windows.strides) == 1:
        return g
    graph = g.graph
    # (n, c, h, w) -> (n, c, h, 1, w, 1) -> (n, c, h, s, w, s) -> (n, c, h * s, w * s)
    apart = graph.op("Unsqueeze", g, graph.integers([3 + 2 * i for i in range(axes)]))
    zeros = np.zeros(2 + 2 * axes, np.int64)
    zeros[3::2] = np.array(windows.strides) - 1
    apart = crop(apart, np.zeros_like(zeros), -zeros)
    lengths = np.array(windows.counts) * windows.strides
    return apart.reshape([0, 0, *map(int, lengths)])
