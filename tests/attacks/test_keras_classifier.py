"""A Keras model as attacks see it: its gradient, compiled once, in batches of any size."""

import keras
import numpy as np
import pytest
from classifiers import CLASSES, SHAPE, images_of
from numpy_attacks import REFERENCES

from rnascl_keras.attacks import FGSM, losses, make_attack
from rnascl_keras.attacks.keras_classifier import KerasClassifier

IMAGES = images_of()


def small_model():
    keras.utils.set_random_seed(0)
    return keras.Sequential(
        [
            keras.Input(SHAPE),
            keras.layers.Conv2D(6, 3, activation="relu"),
            keras.layers.BatchNormalization(),
            keras.layers.Flatten(),
            keras.layers.Dense(CLASSES),
        ]
    )


def test_a_keras_model_gives_its_gradient():
    model, images = small_model(), IMAGES.astype("f4")
    labels, targets = np.arange(12) % CLASSES, (np.arange(12) + 1) % CLASSES
    classifier = KerasClassifier(model)
    for loss in (losses.log_odds, losses.margin, losses.dlr, losses.targeted_dlr):
        logits, found = classifier.logits_and_gradient(images, loss, labels, targets)
        np.testing.assert_allclose(logits, model(images), atol=1e-6)
        direction = np.random.default_rng(0).normal(size=images.shape).astype("f4")
        ends = [classifier.logits(images + sign * 1e-3 * direction) for sign in (1, -1)]
        values = [loss(np, end.astype(float), labels, targets)[0] for end in ends]
        slope = (values[0] - values[1]) / 2e-3
        np.testing.assert_allclose((found * direction).sum((1, 2, 3)), slope, atol=0.02)


def test_a_wrapped_model_is_compiled_once_and_sees_changed_weights():
    traces = []

    class Traced(keras.layers.Layer):
        def call(self, x):
            traces.append(tuple(x.shape))
            return x

    inputs = keras.Input(SHAPE)
    features = keras.layers.Flatten()(Traced()(inputs))
    model = keras.Model(inputs, keras.layers.Dense(CLASSES)(features))
    traces.clear()
    images, classifier = IMAGES.astype("f4"), KerasClassifier(model)
    labels = classifier.logits(images).argmax(1)
    before = FGSM(0.1).perturb(classifier, images, labels, batch_size=4)
    assert traces == [(None, *SHAPE)] * 2  # logits, and logits with gradient
    model.set_weights([-weights for weights in model.get_weights()])
    after = FGSM(0.1).perturb(classifier, images, classifier.logits(images).argmax(1), batch_size=5)
    assert len(traces) == 2
    assert np.mean(before != after) > 0.3


@pytest.mark.parametrize("name", REFERENCES)
def test_a_keras_model_falls_in_any_batch_size(name):
    model, images = small_model(), IMAGES.astype("f4")
    labels = np.asarray(model(images)).argmax(1)
    weights = model.get_weights()
    whole = make_attack(name, 0.1).perturb(model, images, labels, seed=3)
    assert whole.dtype == np.float32
    for size in (1, 5):
        parts = make_attack(name, 0.1).perturb(model, images, labels, seed=3, batch_size=size)
        np.testing.assert_allclose(parts, whole, rtol=0, atol=1e-6)
    assert np.mean(np.asarray(model(whole)).argmax(1) != labels) > 0.3
    for old, new in zip(weights, model.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)
