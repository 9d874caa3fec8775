"""Post-activation residual networks (He et al., 2016) for small images and for ImageNet.

keras.applications has no such network to take instead: its ResNet50 puts a block's stride on the
first 1 x 1 convolution, has biases and another epsilon, so published weights do not fit it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import keras

from rnascl_keras.teachers.networks.blocks import (
    Tensor,
    classifier,
    convolution,
    normalization,
    pixels,
)

EXPANSION = 4  # output of a bottleneck block, in widths of its stage


@dataclass(frozen=True)
class ResNetRow:
    """One residual network.

    Attributes:
        stem: width of the first convolution.
        widths: of the stages.
        blocks: number of blocks of each stage.
        bottleneck: None for blocks of two 3 x 3 convolutions as wide as the stage. Else a block is
            a 1 x 1, a 3 x 3 and a 1 x 1 convolution, the first two `bottleneck` times as wide as
            the stage, the last four times.
        preactivation: normalisation and ReLU come before each convolution.
        imagenet: the stem is 7 x 7 with stride 2, then max pooling; else 3 x 3 with stride 1.
    """

    stem: int
    widths: tuple[int, ...]
    blocks: tuple[int, ...]
    bottleneck: int | None = None
    preactivation: bool = False
    imagenet: bool = False

    def with_base_width(self, width: int) -> ResNetRow:
        """Return the network with a first stage `width` wide and the others scaled alike.

        The stem is scaled too where it is as wide as the first stage; a WideResNet's is not.
        """
        base = self.widths[0]
        widths = tuple(width * stage // base for stage in self.widths)
        return replace(self, stem=width if self.stem == base else self.stem, widths=widths)


def build_resnet(
    row: ResNetRow,
    *,
    input_shape: tuple[int, int, int],
    classes: int,
    mean: Sequence[float] | None = None,
    std: Sequence[float] | None = None,
    name: str = "resnet",
) -> keras.Model:
    """Build the residual network of `row`; other arguments as for `build_teacher`.

    Every stage but the first starts with stride 2. Layers are called `stem_conv`,
    `stage1_block1_conv1`, `..._bn1`, `..._relu1`, `..._shortcut`, ..., `logits`.
    """
    images, x = pixels(input_shape, mean, std)
    x = stem_convolution(x, row)
    x = keras.layers.ReLU(name="stem_relu")(normalization(x, "stem_bn"))
    if row.imagenet:
        # Zeros around what a ReLU gave never win, so they stand for PyTorch's minus infinity.
        x = keras.layers.ZeroPadding2D(1, name="stem_pool_pad")(x)
        x = keras.layers.MaxPooling2D(3, strides=2, name="stem_pool")(x)
    for stage, (width, blocks) in enumerate(zip(row.widths, row.blocks, strict=True), start=1):
        for block in range(1, blocks + 1):
            strides = 2 if stage > 1 and block == 1 else 1
            convolutions = _convolutions(width, strides, row.bottleneck)
            x = _residual_block(x, convolutions, strides, f"stage{stage}_block{block}")
    return classifier(images, x, classes, name)


def stem_convolution(x: Tensor, row: ResNetRow) -> Tensor:
    """The first convolution, (batch, h, w, c) -> (batch, h, w, stem), for ImageNet h / 2, w / 2."""
    kernel, strides = (7, 2) if row.imagenet else (3, 1)
    return convolution(x, row.stem, kernel, "stem_conv", strides=strides)


def _convolutions(
    width: int, strides: int, bottleneck: int | None
) -> tuple[tuple[int, int, int], ...]:
    """Return (filters, kernel, strides) of each convolution of a block."""
    if bottleneck is None:
        return ((width, 3, strides), (width, 3, 1))
    inner = bottleneck * width
    return ((inner, 1, 1), (inner, 3, strides), (EXPANSION * width, 1, 1))


def _residual_block(
    x: Tensor, convolutions: Sequence[tuple[int, int, int]], strides: int, prefix: str
) -> Tensor:
    """(batch, h, w, c) -> (batch, h / strides, w / strides, filters of the last convolution)."""
    shortcut, last, width = x, len(convolutions), convolutions[-1][0]
    if strides > 1 or x.shape[-1] != width:
        shortcut = convolution(x, width, 1, f"{prefix}_shortcut", strides=strides)
        shortcut = normalization(shortcut, f"{prefix}_shortcut_bn")
    for number, (filters, kernel, stride) in enumerate(convolutions, start=1):
        x = convolution(x, filters, kernel, f"{prefix}_conv{number}", strides=stride)
        x = normalization(x, f"{prefix}_bn{number}")
        if number < last:
            x = keras.layers.ReLU(name=f"{prefix}_relu{number}")(x)
    x = keras.layers.Add(name=f"{prefix}_add")([x, shortcut])
    return keras.layers.ReLU(name=f"{prefix}_relu{last}")(x)
