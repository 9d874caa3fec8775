"""Models of channels first are told from others, and attacked on the same images alike."""

from __future__ import annotations

import keras
import numpy as np
import pytest
from keras import layers

from rnascl_keras.attacks import make_attack
from rnascl_keras.attacks.keras_classifier import KerasClassifier
from rnascl_keras.models.channels_last import channels_last, takes_channels_first
from rnascl_keras.models.logits import logits_model

CLASSES = 4


def network(shape, *before, data_format="channels_last"):
    """Return a convolution, pooling and a dense layer on images of `shape`, behind `before`."""
    return keras.Sequential(
        [
            keras.Input(shape),
            *before,
            layers.Conv2D(5, 3, activation="relu", data_format=data_format),
            layers.GlobalAveragePooling2D(data_format=data_format),
            layers.Dense(CLASSES),
        ]
    )


def test_no_pixel_is_rounded_by_the_policy_in_force():
    model = network((3, 8, 9), data_format="channels_first")
    single = keras.Sequential([keras.Input((8, 9, 3)), layers.Flatten(), layers.Dense(1)])
    images = np.random.default_rng(0).uniform(size=(4, 8, 9, 3)).astype("float32")
    expected = [np.asarray(channels_last(model)(images)), np.asarray(logits_model(single)(images))]
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        adapted = channels_last(model), logits_model(single)
    finally:
        keras.config.set_dtype_policy("float32")
    for own, wanted in zip(adapted, expected, strict=True):
        np.testing.assert_array_equal(np.asarray(own(images)), wanted)


@pytest.mark.parametrize(
    ("model", "first"),
    [
        (lambda: network((3, 8, 9), data_format="channels_first"), True),
        (lambda: network((6, 8, 9), data_format="channels_first"), True),
        (lambda: network((8, 9, 3)), False),
        (lambda: network((8, 9, 6)), False),
        (lambda: network((3, 9, 12)), False),  # a signal: three rows of twelve channels
        (lambda: network((3, 8, 8), layers.Permute((2, 3, 1))), True),
        (
            lambda: network((8, 9, 3), layers.Permute((3, 1, 2)), data_format="channels_first"),
            False,
        ),
        (
            lambda: keras.Sequential([keras.Input((1, 8, 8)), layers.Flatten(), layers.Dense(2)]),
            True,
        ),
        (
            lambda: keras.Sequential([keras.Input((8, 8, 1)), layers.Flatten(), layers.Dense(2)]),
            False,
        ),
        (
            lambda: keras.Sequential([keras.Input((1, 128, 9)), layers.Flatten(), layers.Dense(2)]),
            False,
        ),
        (lambda: keras.Sequential([keras.Input((12,)), layers.Dense(2)]), False),
    ],
)
def test_channels_are_found(model, first):
    model = model()
    assert takes_channels_first(model) == first
    made = channels_last(model)
    assert (made is model) != first


@pytest.mark.parametrize(
    ("attack", "norm"), [("pgd", "Linf"), ("square", "Linf"), ("sparse_rs", "L0")]
)
def test_both_layouts_are_attacked_alike(attack, norm):
    """With the same weights the same images come out, of the same shape (n, h, w, c)."""
    keras.utils.set_random_seed(0)
    last = network((8, 9, 3))
    first = network((3, 8, 9), data_format="channels_first")
    first.set_weights(last.get_weights())
    images = np.random.default_rng(0).random((6, 8, 9, 3)).astype("f4")
    labels = last.predict(images, verbose=0).argmax(axis=1)
    settings = {"epsilon": 0.1} if norm == "Linf" else {"epsilon": 5, "queries": 50}
    made = make_attack(attack, norm=norm, **settings)
    found, expected = (
        made.perturb(KerasClassifier(model), images, labels) for model in (first, last)
    )
    np.testing.assert_allclose(found, expected, atol=1e-6)
    assert KerasClassifier(first).remarks == ["takes NCHW"]
