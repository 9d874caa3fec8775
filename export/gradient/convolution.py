"""Rules of convolutions by their input; their kernels are constants."""

from __future__ import annotations

from rnascl_keras.export.gradient.graph import Tensor
from rnascl_keras.export.gradient.registry import Step, rule
from rnascl_keras.export.gradient.windows import convolve_back, windows_of


@rule("Conv")
def convolution(step: Step) -> dict[int, Tensor]:
    kernel = step.input(1)
    windows = windows_of(step, step.input(), step.output(), step.sizes(kernel, 0)[2:])
    return {0: convolve_back(step.gradient, kernel, windows, step.attribute("group"))}


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
