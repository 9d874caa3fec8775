"""Folded into the convolutions, batch normalisations compute what they do behind them."""

from __future__ import annotations

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

from rnascl_keras.models.folded_norm import folded_inference
from rnascl_keras.teachers import build_teacher

IMAGES = np.random.default_rng(0).random((4, 8, 8, 3)).astype("f4")


def functional(*chain):
    images = keras.Input((8, 8, 3))
    x = images
    for layer in chain:
        x = layer(x)
    return keras.Model(images, layers.Dense(4)(layers.Flatten()(x)))


def shared_convolution():
    images = keras.Input((8, 8, 3))
    convolution = layers.Conv2D(3, 3, padding="same")
    first = layers.BatchNormalization()(convolution(images))
    second = convolution(first)  # not normalised, and its map is taken twice
    third = layers.BatchNormalization()(second)
    x = layers.Add()([second, third])
    return keras.Model(images, layers.Dense(4)(layers.GlobalAveragePooling2D()(x)))


def called_twice():
    images = keras.Input((8, 8, 3))
    convolution, norm = layers.Conv2D(3, 3, padding="same"), layers.BatchNormalization()
    x = norm(convolution(norm(convolution(images))))
    return keras.Model(images, layers.Dense(4)(layers.Flatten()(x)))


def called_by_keyword():
    images = keras.Input((8, 8, 3))
    rows = layers.Reshape((64, 3))(images)
    seen = layers.MultiHeadAttention(1, 2)(query=rows, value=rows)
    return keras.Model(images, layers.Dense(4)(layers.Flatten()(inputs=seen)))


def names_alike():
    kinds = (layers.Conv2D(3, 3, name="c"), layers.BatchNormalization(name="n"))
    return functional(*kinds, layers.ReLU(name="c_n"))


NORM = layers.BatchNormalization
MODELS = {
    "bias": (lambda: functional(layers.Conv2D(5, 3), NORM()), 1),
    "strides": (lambda: functional(layers.Conv2D(5, 3, 2, "same", use_bias=False), NORM()), 1),
    "dilated": (lambda: functional(layers.Conv2D(5, 3, dilation_rate=2), NORM(center=False)), 1),
    "groups": (lambda: functional(layers.Conv2D(6, 3, groups=3), NORM(scale=False)), 1),
    "depthwise": (lambda: functional(layers.DepthwiseConv2D(3, depth_multiplier=2), NORM()), 1),
    "shared": (shared_convolution, 2),
    "twice": (called_twice, 2),
    "keyword": (called_by_keyword, 0),
    "names": (names_alike, 1),
    "activation": (lambda: functional(layers.Conv2D(5, 3, activation="relu"), NORM()), 0),
    "axis": (lambda: functional(layers.Conv2D(5, 3), NORM(axis=1)), 0),
    "first": (lambda: functional(NORM(), layers.Conv2D(5, 3)), 0),
    "half": (lambda: functional(layers.Conv2D(5, 3, dtype="mixed_bfloat16"), NORM()), 0),
    "sequential": (
        lambda: keras.Sequential([keras.Input((8, 8, 3)), layers.Conv2D(5, 3), NORM()]),
        1,
    ),
    "student": (lambda: build_teacher("student_s3", input_shape=(8, 8, 3), classes=4), 28),
}


@pytest.mark.parametrize("name", MODELS)
def test_logits_and_gradients_are_the_model_s(name):
    """Also after its weights and statistics have changed; as many are folded as can be."""
    make, count = MODELS[name]
    keras.utils.set_random_seed(0)
    model = make()
    inference = folded_inference(model)
    folded = [layer for layer in inference.func.layers if "Folded" in type(layer).__name__]
    assert len(folded) == count
    rng = np.random.default_rng(1)
    model.set_weights([w + 0.3 * rng.random(w.shape) for w in model.get_weights()])
    images = tf.constant(IMAGES)
    found, expected = (
        value_and_gradient(ask, images) for ask in (inference, lambda x: model(x, training=False))
    )
    for own, reference in zip(found, expected, strict=True):
        size = np.abs(reference).max()
        np.testing.assert_allclose(own / size, reference / size, atol=2e-6)


def value_and_gradient(ask, images):
    with tf.GradientTape() as tape:
        tape.watch(images)
        outputs = ask(images)
        value = tf.reduce_sum(tf.nn.softplus(outputs))
    return outputs.numpy(), tape.gradient(value, images).numpy()


def test_a_model_of_another_type_than_the_policy_is_folded_in_its_own():
    model = functional(layers.Conv2D(5, 3), NORM())
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        found = folded_inference(model)(tf.constant(IMAGES))
    finally:
        keras.config.set_dtype_policy(before)
    np.testing.assert_allclose(found, model(IMAGES, training=False), atol=1e-5)


def test_what_cannot_be_built_anew_is_asked_as_it_is(monkeypatch):
    model = functional(layers.Conv2D(5, 3), NORM())
    monkeypatch.setattr(keras.models, "clone_model", lambda *_, **__: 1 / 0)
    assert folded_inference(model).func is model
