"""The pieces teachers are made of: stock Keras layers, padded and normalised as in PyTorch."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import keras

from rnascl_keras.errors import UserError
from rnascl_keras.models.image_input import image_input

Tensor = Any
"""Of a network that is being built; what a layer returns, Keras does not say."""
ROUNDING = 1e-6
"""By how much a mean may miss the pixels' range."""
SHOWN = 4
"""Values of a mean or std in an error."""


def convolution(
    x: Tensor,
    filters: int,
    kernel: int,
    name: str,
    *,
    strides: int = 1,
    use_bias: bool = False,
) -> Tensor:
    """Convolve, (batch, h, w, c) -> (batch, h / strides, w / strides, filters).

    Padding is `kernel // 2` on every side, as in PyTorch. "same" pads a strided convolution on one
    side only, and weights trained with the other rule then see a shifted image.
    """
    padding = "same"
    if strides > 1 and kernel == 1:
        # The same values. TensorFlow 2.21 on x86 CPUs corrupts memory in the gradient of a strided
        # 1x1 convolution of 8 channels into 16.
        x, strides = x[:, ::strides, ::strides], 1
    elif strides > 1:
        x = keras.layers.ZeroPadding2D(kernel // 2, name=f"{name}_pad")(x)
        padding = "valid"
    return keras.layers.Conv2D(
        filters,
        kernel,
        strides=strides,
        padding=padding,
        use_bias=use_bias,
        kernel_initializer="he_normal",
        name=name,
    )(x)


def normalization(x: Tensor, name: str, *, scaled: bool = True) -> Tensor:
    """Batch normalisation with PyTorch's epsilon and pace; `scaled`: with scale and offset.

    Momentum 0.9 rather than Keras' 0.99: adversarial training attacks the model in inference mode,
    so moving statistics that lag behind the weights would make a weak attack.
    """
    return keras.layers.BatchNormalization(
        momentum=0.9, epsilon=1e-5, center=scaled, scale=scaled, name=name
    )(x)


def pixels(
    input_shape: tuple[int, int, int],
    mean: Sequence[float] | None,
    std: Sequence[float] | None,
) -> tuple[Tensor, Tensor]:
    """Return (the input, the input normalised per channel), the input's pixels being in [0, 1].

    The normalisation is a `Rescaling`, which exports to ONNX as two constants; without `mean` and
    `std` there is none.

    Raises:
        UserError: only one of `mean` and `std`, not one finite value per channel, a `std` of 0, or
            a `mean` that no pixels in [0, 1] have.
    """
    images = image_input(input_shape)
    if mean is None and std is None:
        return images, images
    channels = input_shape[-1]
    if mean is None or std is None or len(mean) != channels or len(std) != channels:
        raise UserError(
            f"mean {_few(mean)} and std {_few(std)} do not fit images of {channels} channel(s): "
            "give one value per channel for both, or neither."
        )
    if not all(map(math.isfinite, (*mean, *std))) or min(std) <= 0:
        raise UserError(
            f"mean {_few(mean)} or std {_few(std)} holds a value that is not finite, or std one "
            "that is not positive."
        )
    if min(mean) < -ROUNDING or max(mean) > 1 + ROUNDING:
        raise UserError(
            f"mean {_few(mean)} is not within 0 and 1, and pixels are in [0, 1]; divide mean "
            "and std by 255."
        )
    scale = [1.0 / s for s in std]
    offset = [-m / s for m, s in zip(mean, std, strict=True)]
    # Keras leaves `offset` without a type, and its default is a number
    normalize = keras.layers.Rescaling(scale, offset, name="normalize")  # pyright: ignore[reportArgumentType]
    return images, normalize(images)


def _few(values: Sequence[float] | None) -> str:
    """Return the first of the values, and how many more there are."""
    more = 0 if values is None else len(values) - SHOWN
    if values is None or more <= 0:
        return str(values)
    return f"({', '.join(map(str, values[:SHOWN]))} and {more} more)"


def classifier(images: Tensor, features: Tensor, classes: int, name: str) -> keras.Model:
    """Close a model: (batch, h, w, c) features, global average pooling, a dense layer's logits.

    The logits are float32 also under mixed precision.
    """
    pooled = keras.layers.GlobalAveragePooling2D(name="pool")(features)
    logits = keras.layers.Dense(classes, dtype="float32", name="logits")(pooled)
    return keras.Model(images, logits, name=name)


def scaled(filters: int, width: int | None, base: int) -> int:
    """Return the filters of a network whose first `base` are made `width`; None: as they are."""
    return filters if width is None else max(1, width * filters // base)
