"""Rules of convolutions by their input; their kernels are constants."""

from __future__ import annotations

import numpy as np

from rnascl_keras.export.gradient.graph import Tensor
from rnascl_keras.export.gradient.padding import crop
from rnascl_keras.export.gradient.registry import Step, rule
from rnascl_keras.export.gradient.windows import convolve_back, windows_of


@rule("Conv")
def convolution(step: Step) -> dict[int, Tensor]:
    kernel = step.input(1)
    windows = windows_of(step, step.input(), step.output(), step.sizes(kernel, 0)[2:])
    return {0: convolve_back(step.gradient, kernel, windows, step.attribute("group"))}


@rule("ConvTranspose")
def transposed_convolution(step: Step) -> dict[int, Tensor]:
    """The convolution that it is the transpose of.

    No input gets to what output padding puts behind the last window. Where it is a stride or more,
    as dilations allow, the convolution would find room for further windows there.
    """
    kernel = step.input(1)
    size = step.sizes(kernel, 2)
    # its output is what the convolution runs over
    windows = windows_of(step, step.output(), step.input(), size)
    behind, ends = np.array(windows.behind), np.array(windows.ends)
    surplus = np.where(behind >= windows.strides, behind, 0)
    # what the padding at the end cannot be less by is cut off
    cut = [0, 0, *np.maximum(surplus - ends, 0)]
    g = crop(step.gradient, np.zeros_like(cut), np.array(cut))
    attributes = {
        "kernel_shape": size,
        "strides": windows.strides,
        "dilations": windows.dilations,
        "group": step.attribute("group"),
        "pads": [*windows.begins, *np.maximum(ends - surplus, 0).tolist()],
    }
    return {0: step.graph.op("Conv", g, kernel, **attributes)}
