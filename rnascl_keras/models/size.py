"""How large a Keras model is: its parameters, and its multiply-adds for one image."""

from __future__ import annotations

import math

import keras


def count_parameters(model: keras.Model) -> int:
    """Return the trainable parameters, batch normalisation's scale and offset among them."""
    return sum(math.prod(variable.shape) for variable in model.trainable_variables)


def model_macs(model: keras.Model) -> int:
    """Return the multiply-adds of all convolutions and dense layers of any functional model."""
    total = 0
    for layer in model.layers:
        if isinstance(layer, keras.Model):
            total += model_macs(layer)
        elif isinstance(layer, (keras.layers.Conv2D, keras.layers.DepthwiseConv2D)):
            height, width = layer.output.shape[1:3]
            total += math.prod(layer.kernel.shape) * height * width
        elif isinstance(layer, keras.layers.Dense):
            total += math.prod(layer.kernel.shape)
    return total
