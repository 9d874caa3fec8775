"""VGG-11-R and DenseNet-121-R: networks whose last stage is 0.4 times as wide (Huang et al., 2021).

Their repository, HanxunH/RobustWRN, has the two networks but no widths for these rows: they follow
from the rule that its WideResNet shows, and from the published counts.
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

VGG11_R = (64, "M", 128, "M", 256, 256, "M", 512, 512, "M", 205, 205, "M")
"""Filters of each convolution; M: a pooling that halves."""

DENSENET121_BLOCKS = (6, 12, 24, 16)
DENSENET121_INPUTS = (64, 128, 256, 205)
"""Channels with which each block begins."""
GROWTH, BOTTLENECK = 32, 128


def build_vgg11_r(
    *,
    input_shape: tuple[int, int, int],
    classes: int,
    mean: Sequence[float] | None = None,
    std: Sequence[float] | None = None,
    width: int | None = None,
) -> keras.Model:
    """Build 3 x 3 convolutions with bias, normalisation, ReLU, and poolings while they can halve.

    Args:
        input_shape, classes, mean, std: as for `build_teacher`.
        width: of the first convolution, 64 by default; the others are scaled alike.
    """
    images, x = pixels(input_shape, mean, std)
    number = 0
    for layer in VGG11_R:
        if isinstance(layer, str):
            if min(x.shape[1:3]) > 1:
                x = keras.layers.MaxPooling2D(2, name=f"pool{number}")(x)
            continue
        number += 1
        filters = scaled(layer, width, VGG11_R[0])
        x = convolution(x, filters, 3, f"conv{number}", use_bias=True)
        x = keras.layers.ReLU(name=f"relu{number}")(normalization(x, f"bn{number}"))
    return classifier(images, x, classes, "vgg11_r")


def build_densenet121_r(
    *,
    input_shape: tuple[int, int, int],
    classes: int,
    mean: Sequence[float] | None = None,
    std: Sequence[float] | None = None,
    width: int | None = None,
) -> keras.Model:
    """Build four blocks of layers that each see all earlier ones', with transitions between.

    Args:
        input_shape, classes, mean, std: as for `build_teacher`.
        width: of the stem, 64 by default; transitions and growth are scaled alike.
    """
    images, x = pixels(input_shape, mean, std)
    base = DENSENET121_INPUTS[0]
    growth, bottleneck = (scaled(filters, width, base) for filters in (GROWTH, BOTTLENECK))
    stages = zip(DENSENET121_BLOCKS, DENSENET121_INPUTS, strict=True)
    for stage, (layers, inputs) in enumerate(stages, start=1):
        filters = scaled(inputs, width, base)
        if stage == 1:
            x = convolution(x, filters, 3, "stem_conv")
        else:
            x = _normalized_convolution(x, filters, 1, f"transition{stage - 1}")
            x = keras.layers.AveragePooling2D(2, name=f"transition{stage - 1}_pool")(x)
        for layer in range(1, layers + 1):
            name = f"stage{stage}_layer{layer}"
            y = _normalized_convolution(x, bottleneck, 1, f"{name}_a")
            y = _normalized_convolution(y, growth, 3, f"{name}_b")
            x = keras.layers.Concatenate(name=f"{name}_concat")([y, x])
    x = keras.layers.ReLU(name="final_relu")(normalization(x, "final_bn"))
    return classifier(images, x, classes, "densenet121_r")


def _normalized_convolution(x: Tensor, filters: int, kernel: int, name: str) -> Tensor:
    """Normalisation, ReLU, convolution."""
    x = keras.layers.ReLU(name=f"{name}_relu")(normalization(x, f"{name}_bn"))
    return convolution(x, filters, kernel, f"{name}_conv")
