"""The small residual network without batch normalisation that alpha-beta-CROWN verifies."""

from __future__ import annotations

from collections.abc import Sequence

import keras

from rnascl_keras.teachers.networks.blocks import Tensor, convolution, pixels

STEM, WIDTH, HIDDEN = 16, 32, 100
STAGES, BLOCKS = 2, 2


def build_abcrown_resnet4b(
    *,
    input_shape: tuple[int, int, int],
    classes: int,
    mean: Sequence[float] | None = None,
    std: Sequence[float] | None = None,
) -> keras.Model:
    """Build "resnet4b" of alpha-beta-CROWN's model zoo; arguments as for `build_teacher`.

    A stem and two stages of two blocks, each starting with stride 2, all with biases in place of
    batch normalisation; then all pixels of all channels go into a dense layer of 100. 123,734
    weights for 32 x 32 x 3 images of ten classes.
    """
    images, x = pixels(input_shape, mean, std)
    x = convolution(x, STEM, 3, "stem_conv", strides=2, use_bias=True)
    x = keras.layers.ReLU(name="stem_relu")(x)
    for stage in range(1, STAGES + 1):
        for block in range(1, BLOCKS + 1):
            x = _block(x, 2 if block == 1 else 1, f"stage{stage}_block{block}")
    x = keras.layers.Flatten(name="flatten")(x)  # (batch, h, w, c) -> (batch, h * w * c)
    x = keras.layers.ReLU(name="hidden_relu")(keras.layers.Dense(HIDDEN, name="hidden")(x))
    logits = keras.layers.Dense(classes, dtype="float32", name="logits")(x)
    return keras.Model(images, logits, name="abcrown_resnet4b")


def _block(x: Tensor, strides: int, prefix: str) -> Tensor:
    """(batch, h, w, c) -> (batch, h / strides, w / strides, WIDTH)."""
    shortcut = x
    if strides > 1:
        shortcut = convolution(x, WIDTH, 1, f"{prefix}_shortcut", strides=strides, use_bias=True)
    x = convolution(x, WIDTH, 3, f"{prefix}_conv1", strides=strides, use_bias=True)
    x = keras.layers.ReLU(name=f"{prefix}_relu1")(x)
    x = convolution(x, WIDTH, 3, f"{prefix}_conv2", use_bias=True)
    x = keras.layers.Add(name=f"{prefix}_add")([x, shortcut])
    return keras.layers.ReLU(name=f"{prefix}_relu2")(x)
