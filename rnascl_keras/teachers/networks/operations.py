"""The operations on the edges of a cell, (batch, h, w, c) -> (batch, h / strides, w / strides, c).

Stock Keras layers that give PyTorch's values. Where "same" would pad differently under a stride,
the operation is taken at stride 1, whose every second value is kept; h and w have to be even there.
"""

from __future__ import annotations

from collections.abc import Callable

import keras

from rnascl_keras.teachers.networks.blocks import Tensor, convolution, normalization


def every_second(x: Tensor, strides: int) -> Tensor:
    """Return the values at every `strides`-th row and column."""
    return x if strides == 1 else x[:, ::strides, ::strides]


def relu_convolution(x: Tensor, width: int, name: str, *, scaled: bool = True) -> Tensor:
    """ReLU, 1 x 1 convolution to `width` channels, normalisation."""
    x = convolution(keras.layers.ReLU(name=f"{name}_relu")(x), width, 1, f"{name}_conv")
    return normalization(x, f"{name}_bn", scaled=scaled)


def factorized_reduction(x: Tensor, width: int, name: str, *, scaled: bool = True) -> Tensor:
    """Halve a map by two grids of its values, (batch, h, w, c) -> (batch, h / 2, w / 2, width).

    ReLU, then half of the channels from the values at even positions and half from those at odd
    ones; h and w have to be even.
    """
    x = keras.layers.ReLU(name=f"{name}_relu")(x)
    halves = [
        convolution(x[:, first::2, first::2], filters, 1, f"{name}_conv{first + 1}")
        for first, filters in enumerate((width // 2, width - width // 2))
    ]
    x = keras.layers.Concatenate(name=f"{name}_concat")(halves)
    return normalization(x, f"{name}_bn", scaled=scaled)


def _identity(x: Tensor, strides: int, name: str, scaled: bool) -> Tensor:
    return x if strides == 1 else factorized_reduction(x, x.shape[-1], name, scaled=scaled)


def _max_pool(x: Tensor, strides: int, name: str, scaled: bool) -> Tensor:
    pool = keras.layers.MaxPooling2D(3, strides=1, padding="same", name=name)
    return every_second(pool(x), strides)


def _average_pool(x: Tensor, strides: int, name: str, scaled: bool) -> Tensor:
    pool = keras.layers.AveragePooling2D(3, strides=1, padding="same", name=name)
    return every_second(pool(x), strides)


def depthwise(x: Tensor, kernel: int, name: str, *, strides: int = 1, dilation: int = 1) -> Tensor:
    """Depthwise convolution without bias, padded by `kernel // 2` steps on every side."""
    padding = "same"
    if strides > 1 and dilation == 1:
        x = keras.layers.ZeroPadding2D(kernel // 2, name=f"{name}_pad")(x)
        padding = "valid"
    layer = keras.layers.DepthwiseConv2D(
        kernel,
        strides=strides if dilation == 1 else 1,  # Keras allows no stride beside a dilation
        dilation_rate=dilation,
        padding=padding,
        use_bias=False,
        depthwise_initializer="he_normal",
        name=name,
    )
    return every_second(layer(x), strides if dilation > 1 else 1)


def _separable(kernel: int) -> Callable[[Tensor, int, str, bool], Tensor]:
    """Twice ReLU, depthwise and 1 x 1 convolution, normalisation; the first has the stride."""

    def apply(x: Tensor, strides: int, name: str, scaled: bool) -> Tensor:
        width = x.shape[-1]
        for part, stride in (("a", strides), ("b", 1)):
            x = keras.layers.ReLU(name=f"{name}_{part}_relu")(x)
            x = depthwise(x, kernel, f"{name}_{part}_depthwise", strides=stride)
            x = convolution(x, width, 1, f"{name}_{part}_conv")
            x = normalization(x, f"{name}_{part}_bn", scaled=scaled)
        return x

    return apply


def _dilated(kernel: int) -> Callable[[Tensor, int, str, bool], Tensor]:
    """ReLU, depthwise convolution of dilation 2, 1 x 1 convolution, normalisation."""

    def apply(x: Tensor, strides: int, name: str, scaled: bool) -> Tensor:
        width = x.shape[-1]
        x = keras.layers.ReLU(name=f"{name}_relu")(x)
        x = depthwise(x, kernel, f"{name}_depthwise", strides=strides, dilation=2)
        x = convolution(x, width, 1, f"{name}_conv")
        return normalization(x, f"{name}_bn", scaled=scaled)

    return apply


def _one_by_seven(x: Tensor, strides: int, name: str, scaled: bool) -> Tensor:
    """ReLU, convolutions of 1 x 7 and 7 x 1, each with the stride along its axis, normalisation."""
    width = x.shape[-1]
    x = keras.layers.ReLU(name=f"{name}_relu")(x)
    for part, kernel, stride, padding in (
        ("row", (1, 7), (1, strides), (0, 3)),
        ("column", (7, 1), (strides, 1), (3, 0)),
    ):
        x = keras.layers.ZeroPadding2D(padding, name=f"{name}_{part}_pad")(x)
        x = keras.layers.Conv2D(
            width,
            kernel,
            strides=stride,
            use_bias=False,
            kernel_initializer="he_normal",
            name=f"{name}_{part}",
        )(x)
    return normalization(x, f"{name}_bn", scaled=scaled)


def _residual(x: Tensor, strides: int, name: str, scaled: bool) -> Tensor:
    """A separable convolution of 3 x 3, and the state itself added."""
    own = _separable(3)(x, strides, name, scaled)
    shortcut = _identity(x, strides, f"{name}_shortcut", scaled)
    return keras.layers.Add(name=f"{name}_add")([own, shortcut])


OPERATIONS: dict[str, Callable[[Tensor, int, str, bool], Tensor]] = {
    "m": _max_pool,
    "a": _average_pool,
    "k": _identity,
    "s3": _separable(3),
    "s5": _separable(5),
    "s7": _separable(7),
    "d3": _dilated(3),
    "d5": _dilated(5),
    "x": _one_by_seven,
    "R": _residual,
}
"""By letter: (map, strides, name, whether normalisations have scale and offset) -> map."""
