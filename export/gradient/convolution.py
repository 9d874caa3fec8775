"""Rules of convolutions by their input; their kernels are constants."""

from __future__ import annotations

import numpy as np

from rnascl_keras.export.gradient.graph import Tensor
from rnascl_keras.export.gradient.registry import Step, rule
from rnascl_keras.export.gradient.windows import convolve_back, windows_of


@rule("Conv")
def convolution(step: Step) -> dict[int, Tensor]:
    """A convolution, by 1, with the kernel turned round, of the gradient with zeros put between.

    onnxruntime runs it on a CPU several times faster than the same thing as a ConvTranspose.
    """
    g, kernel = step.gradient, step.input(1)
    windows = windows_of(step, step.input(), step.output(), step.sizes(kernel, 0)[2:])
    groups = step.attribute("group")
    return {0: convolve_back(g, _turned(kernel, groups), windows, groups)}


def _turned(kernel: Tensor, groups: int) -> Tensor:
    """(out, in / groups, *size) -> (in, out / groups, *size), each channel's kernel reversed."""
    graph, (out, each, *size) = kernel.graph, kernel.shape
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


@rule("ConvTranspose")
def transposed_convolution(step: Step) -> dict[int, Tensor]:
    """The convolution that it is the transpose of."""
    kernel = step.input(1)
    size = step.sizes(kernel, 2)
    # its output is what the convolution runs over
    windows = windows_of(step, step.output(), step.input(), size)
    attributes = {
        "kernel_shape": size,
        "strides": windows.strides,
        "dilations": windows.dilations,
        "group": step.attribute("group"),
        "pads": [*windows.begins, *windows.ends],
    }
    return {0: step.graph.op("Conv", step.gradient, kernel, **attributes)}
