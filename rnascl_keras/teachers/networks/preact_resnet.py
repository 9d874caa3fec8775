"""Pre-activation residual networks: PreActResNet (He et al., 2016) and WideResNet (Zagoruyko and
Komodakis, 2016), as published with TRADES and by Rice et al. (2020)."""

from __future__ import annotations

from collections.abc import Sequence

import keras

from rnascl_keras.teachers.networks.blocks import (
    Tensor,
    classifier,
    convolution,
    normalization,
    pixels,
)
from rnascl_keras.teachers.networks.resnet import ResNetRow, stem_convolution


def build_preact_resnet(
    row: ResNetRow,
    *,
    input_shape: tuple[int, int, int],
    classes: int,
    mean: Sequence[float] | None = None,
    std: Sequence[float] | None = None,
    name: str = "preact_resnet",
) -> keras.Model:
    """Build the pre-activation network of `row`; other arguments as for `build_teacher`.

    Every stage but the first starts with stride 2; a normalisation and a ReLU follow the last
    block. Layers are called `stem_conv`, `stage1_block1_bn1`, `..._conv1`, `..._shortcut`, ...,
    `final_bn`, `logits`.
    """
    images, x = pixels(input_shape, mean, std)
    x = stem_convolution(x, row)
    for stage, (width, blocks) in enumerate(zip(row.widths, row.blocks, strict=True), start=1):
        for block in range(1, blocks + 1):
            strides = 2 if stage > 1 and block == 1 else 1
            x = _preactivation_block(x, width, strides, f"stage{stage}_block{block}")
    x = keras.layers.ReLU(name="final_relu")(normalization(x, "final_bn"))
    return classifier(images, x, classes, name)


def _preactivation_block(x: Tensor, width: int, strides: int, prefix: str) -> Tensor:
    """(batch, h, w, c) -> (batch, h / strides, w / strides, width).

    A shortcut that has to change the shape starts behind the first normalisation and ReLU.
    """
    y = keras.layers.ReLU(name=f"{prefix}_relu1")(normalization(x, f"{prefix}_bn1"))
    if strides > 1 or x.shape[-1] != width:
        x = convolution(y, width, 1, f"{prefix}_shortcut", strides=strides)
    y = convolution(y, width, 3, f"{prefix}_conv1", strides=strides)
    y = keras.layers.ReLU(name=f"{prefix}_relu2")(normalization(y, f"{prefix}_bn2"))
    y = convolution(y, width, 3, f"{prefix}_conv2")
    return keras.layers.Add(name=f"{prefix}_add")([y, x])
