"""A small convolutional network for 8 x 8 digits: the teacher of the first run."""

from __future__ import annotations

from collections.abc import Sequence

import keras

from rnascl_keras.teachers.networks.blocks import (
    classifier,
    convolution,
    normalization,
    pixels,
    scaled,
)

# (filters, strides) of each convolution
LAYERS = ((16, 1), (32, 1), (32, 2), (32, 1))


def build_digits_cnn(
    *,
    input_shape: tuple[int, int, int],
    classes: int,
    mean: Sequence[float] | None = None,
    std: Sequence[float] | None = None,
    width: int | None = None,
) -> keras.Model:
    """Build four 3 x 3 convolutions with batch normalisation and ReLU; 23,738 weights for
    8 x 8 x 1 images of ten classes.

    Args:
        input_shape: (h, w, c), pixels in [0, 1].
        classes: number of logits.
        mean: per channel, subtracted before the first layer; no normalisation by default.
        std: per channel, divided by after `mean`.
        width: of the first convolution, 16 by default; the others are scaled alike.
    """
    images, x = pixels(input_shape, mean, std)
    for number, (filters, strides) in enumerate(LAYERS, start=1):
        filters = scaled(filters, width, LAYERS[0][0])
        x = convolution(x, filters, 3, f"conv{number}", strides=strides)
        x = normalization(x, f"bn{number}")
        x = keras.layers.ReLU(name=f"relu{number}")(x)
    return classifier(images, x, classes, "digits_cnn")
