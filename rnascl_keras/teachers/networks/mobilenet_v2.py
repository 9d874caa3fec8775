"""The MobileNetV2 for 32-pixel images of Adversarially Robust Distillation (Goldblum et al., 2020).

It is not the ImageNet model whose 3.4 M parameters and 300 M multiply-adds are cited for it: the
stem and the first two stages keep the size, activations are ReLU, and shortcuts that change the
width have a 1 x 1 convolution (goldblum/AdversariallyRobustDistillation models/mobilenetv2.py).
"""

from __future__ import annotations

from collections.abc import Sequence

import keras

from rnascl_keras.teachers.networks.blocks import (
    Tensor,
    classifier,
    convolution,
    normalization,
    pixels,
    scaled,
)
from rnascl_keras.teachers.networks.operations import depthwise

STEM, HEAD = 32, 1280
STAGES = (
    (1, 16, 1, 1),
    (6, 24, 2, 1),
    (6, 32, 3, 2),
    (6, 64, 4, 2),
    (6, 96, 3, 1),
    (6, 160, 3, 2),
    (6, 320, 1, 1),
)
"""(expansion, width, blocks, stride of the first block) of each stage."""


def build_mobilenet_v2(
    *,
    input_shape: tuple[int, int, int],
    classes: int,
    mean: Sequence[float] | None = None,
    std: Sequence[float] | None = None,
    width: int | None = None,
) -> keras.Model:
    """Build the network.

    Args:
        input_shape, classes, mean, std: as for `build_teacher`.
        width: of the stem, 32 by default; all others are scaled alike, at 16 to its half width.
    """
    images, x = pixels(input_shape, mean, std)
    x = _convolution(x, scaled(STEM, width, STEM), 3, "stem")
    for stage, (expansion, filters, blocks, first_stride) in enumerate(STAGES, start=1):
        for block in range(1, blocks + 1):
            strides = first_stride if block == 1 else 1
            own = scaled(filters, width, STEM)
            x = _block(x, expansion, own, strides, f"stage{stage}_block{block}")
    x = _convolution(x, scaled(HEAD, width, STEM), 1, "head")
    return classifier(images, x, classes, "mobilenetv2")


def _block(x: Tensor, expansion: int, width: int, strides: int, name: str) -> Tensor:
    """(batch, h, w, c) -> (batch, h / strides, w / strides, width)."""
    y = _convolution(x, expansion * x.shape[-1], 1, f"{name}_expand")
    y = normalization(depthwise(y, 3, f"{name}_depthwise", strides=strides), f"{name}_depthwise_bn")
    y = keras.layers.ReLU(name=f"{name}_depthwise_relu")(y)
    y = normalization(convolution(y, width, 1, f"{name}_project"), f"{name}_project_bn")
    if strides > 1:
        return y
    if x.shape[-1] != width:
        x = convolution(x, width, 1, f"{name}_shortcut")
        x = normalization(x, f"{name}_shortcut_bn")
    return keras.layers.Add(name=f"{name}_add")([y, x])


def _convolution(x: Tensor, filters: int, kernel: int, name: str) -> Tensor:
    """Convolution, normalisation, ReLU."""
    x = normalization(convolution(x, filters, kernel, name), f"{name}_bn")
    return keras.layers.ReLU(name=f"{name}_relu")(x)
