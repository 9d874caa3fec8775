"""Whole channels taken away: the same function where they were dead, whatever the network."""

from __future__ import annotations

import keras
import numpy as np
import pytest

from rnascl_keras import Architecture
from rnascl_keras.errors import UserError
from rnascl_keras.method.spaces import get_space
from rnascl_keras.pruning.structured import without_channels
from rnascl_keras.teachers import build_teacher

SHAPE = (16, 16, 3)
IMAGES = np.random.default_rng(0).uniform(size=(2, *SHAPE)).astype(np.float32)
NETWORKS = {
    "resnet18": {"width": 4},
    "preact_resnet18": {"width": 4},
    "mobilenetv2": {"width": 8},
    "vgg11_r": {"width": 8},
    "darts": {"width": 4, "cells": 3},
    "robnet_large": {"width": 4, "cells": 3},
}


def built(name):
    keras.utils.set_random_seed(0)
    if name == "student":
        space = get_space("S3")
        widths = space.widths_everywhere(min)
        return Architecture(
            space=space, widths=widths, tutors=(), input_shape=SHAPE, classes=5
        ).build()
    return build_teacher(name, input_shape=SHAPE, classes=5, **NETWORKS[name])


@pytest.mark.parametrize("name", [*NETWORKS, "student"])
def test_half_of_the_channels_of_any_network_can_go(name):
    model = built(name)
    half = without_channels(model, 0.5)
    assert half.count_params() < 0.75 * model.count_params()
    assert np.isfinite(half(IMAGES)).all() and half.output_shape == model.output_shape
    np.testing.assert_allclose(without_channels(model, 1.0)(IMAGES), model(IMAGES), atol=1e-6)


def residual_network():
    """Two convolutions that share their channels by an addition, and a depthwise one between."""
    x = inputs = keras.Input(SHAPE)
    x = keras.layers.Conv2D(8, 3, padding="same", name="first")(x)
    y = keras.layers.DepthwiseConv2D(3, padding="same", name="depthwise")(x)
    y = keras.layers.BatchNormalization(name="norm")(y)
    y = keras.layers.Conv2D(8, 1, name="second")(keras.layers.ReLU()(y))
    x = keras.layers.Flatten()(keras.layers.MaxPooling2D(8)(keras.layers.Add()([x, y])))
    return keras.Model(inputs, keras.layers.Dense(4, name="logits")(x))


def test_dead_channels_go_and_the_function_stays():
    model = residual_network()
    rng = np.random.default_rng(0)
    for weight in model.weights:
        weight.assign(rng.uniform(0.5, 1.5, weight.shape) * rng.choice([-1, 1], weight.shape))
    model.get_layer("norm").moving_variance.assign(np.full(8, 2.0))
    dead = [1, 4, 6, 7]
    for name in ("first", "second"):
        layer = model.get_layer(name)
        kernel, bias = layer.get_weights()
        kernel[..., dead], bias[dead] = 0, 0
        layer.set_weights([kernel, bias])
    # what is dead on its way in is dead on its way out
    kernel, bias = model.get_layer("second").get_weights()
    kernel[:, :, dead] = 0
    model.get_layer("second").set_weights([kernel, bias])
    smaller = without_channels(model, 0.5)
    assert smaller.get_layer("first").filters == smaller.get_layer("second").filters == 4
    np.testing.assert_allclose(smaller(IMAGES), model(IMAGES), rtol=1e-4, atol=1e-4)


def test_a_layer_used_twice_stays_whole():
    shared = keras.layers.Conv2D(3, 1, name="shared")
    inputs = keras.Input(SHAPE)
    x = shared(shared(inputs))
    x = keras.layers.Conv2D(8, 1, name="other")(x)
    x = keras.layers.GlobalAveragePooling2D()(x)
    model = keras.Model(inputs, keras.layers.Dense(4, name="logits")(x))
    smaller = without_channels(model, 0.5)
    assert smaller.get_layer("shared").filters == 3
    assert smaller.get_layer("other").filters == 4


def test_what_cannot_be_followed_is_told():
    inputs = keras.Input(SHAPE)
    inner = keras.Sequential([keras.Input(SHAPE), keras.layers.Conv2D(4, 1)], name="inner")
    x = keras.layers.GlobalAveragePooling2D()(inner(inputs))
    model = keras.Model(inputs, keras.layers.Dense(4)(x))
    with pytest.raises(UserError, match="holds the models inner"):
        without_channels(model, 0.5)
    flat = keras.Sequential(
        [keras.Input(SHAPE), keras.layers.Flatten(), keras.layers.Dense(4)], name="flat"
    )
    with pytest.raises(UserError, match="no channel of flat"):
        without_channels(flat, 0.5)
    turned = keras.Sequential(
        [
            keras.Input(SHAPE),
            keras.layers.Permute((3, 1, 2)),
            keras.layers.ZeroPadding2D(1, data_format="channels_first", name="turned"),
            keras.layers.Flatten(),
            keras.layers.Dense(4),
        ]
    )
    with pytest.raises(UserError, match=r"channels first \(turned\)"):
        without_channels(turned, 0.5)
