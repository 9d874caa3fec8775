"""A model in inference mode with its batch normalisations folded into the convolutions before them.

An attack within a training step asks the model some ten times, and its gradient as often. In
inference mode a normalisation is a product and a sum by channel; folded into the kernel and a bias
they spare three passes over every map (`benchmarks/folded_norm.py`).
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import keras
from keras import layers, ops

Tensor = Any
Inference = Callable[..., Tensor]
"""Images (batch, h, w, c) -> logits (batch, classes), in inference mode."""


def folded_inference(model: keras.Model) -> Inference:
    """Return the inference of a functional or Sequential model, folded where that can be done.

    It has no variables of its own: it folds at each call what the model's are then. What it gives
    differs from `model(images, training=False)` by rounding.
    """
    made: dict[int, tuple[layers.Layer, Tensor, Tensor]] = {}

    def call(operation: Any, *args: Any, **kwargs: Any) -> Any:
        given = args[0] if args else None  # some are called by keyword
        before, images, _ = made.get(id(given), (None, None, None))
        if before is not None and _folds(before, operation):
            return _FoldedConvolution(before, operation)(images)
        result = operation(*args, **kwargs)
        if type(operation) in (layers.Conv2D, layers.DepthwiseConv2D):
            made[id(result)] = operation, args[0], result  # held, so that no other has its id
        return result

    try:
        folded = keras.models.clone_model(
            keras.Model(model.inputs, model.outputs),  # a Sequential takes no `call_function`
            clone_function=lambda layer: layer,
            call_function=call,
        )
    except Exception:  # whatever Keras cannot build anew is asked as it is: slower, and the same
        folded = model
    # within a partial Keras does not take it for a layer of what it is an attribute of
    return partial(folded, training=False)


def _folds(convolution: Any, norm: Any) -> bool:
    return (
        type(norm) is layers.BatchNormalization
        and norm.axis in (-1, 3)
        and not getattr(norm, "renorm", False)
        and convolution.data_format == "channels_last"
        and convolution.activation is keras.activations.linear
        and "call" not in vars(convolution)  # replaced on this one layer
        and convolution.compute_dtype == norm.compute_dtype == "float32"
    )


class _FoldedConvolution(layers.Layer):
    """A convolution with its kernel and bias as a batch normalisation behind it has them.

    With s = gamma / sqrt(variance + epsilon) they are kernel s and (bias - mean) s + beta.
    """

    def __init__(self, convolution: Any, norm: Any) -> None:
        super().__init__(dtype=convolution.dtype_policy)
        self.convolution = convolution
        self.norm = norm

    def call(self, images: Tensor) -> Tensor:
        """Return maps (batch, h', w', channels)."""
        convolution, norm = self.convolution, self.norm
        scale = ops.rsqrt(norm.moving_variance + norm.epsilon)
        if norm.scale:
            scale = scale * norm.gamma
        offset = -norm.moving_mean * scale
        if convolution.use_bias:
            offset = offset + convolution.bias * scale
        if norm.center:
            offset = offset + norm.beta
        kernel = convolution.kernel
        depthwise = isinstance(convolution, layers.DepthwiseConv2D)
        by_channel = ops.reshape(scale, kernel.shape[2:]) if depthwise else scale
        convolve: Any = ops.depthwise_conv if depthwise else ops.conv
        maps = convolve(
            images,
            kernel * by_channel,
            strides=convolution.strides,
            padding=convolution.padding,
            data_format=convolution.data_format,
            dilation_rate=convolution.dilation_rate,
        )
        return maps + offset
