"""The attack that CONTRIBUTING.md writes as an example, run as printed."""

import examples as contributing
import keras
import numpy as np
import pytest
from classifiers import CLASSES, SHAPE, images_of, linear_classifier
from numpy_attacks import clip, gradient, start_of

from rnascl_keras.attacks import ATTACKS, make_attack
from rnascl_keras.evaluation.evaluate import evaluate

EPSILON = 0.02
IMAGES = images_of(60)


@pytest.fixture(autouse=True)
def example(attacks_of_this_test):
    """Run the example, in a copy of the table of attacks that it enters itself in."""
    exec(compile(contributing.example("A new attack"), "CONTRIBUTING.md", "exec"), {})
    assert attacks_of_this_test.keys() - ATTACKS.keys() == {"decaying"}


def expected_points(model, labels):
    x = start_of(IMAGES, EPSILON)
    for step in range(20):
        moved = x + EPSILON * 0.8**step * np.sign(gradient(model, x, labels))
        x = clip(moved, IMAGES, EPSILON)
    return x


def linear_models():
    """The same linear classifier in NumPy and in Keras."""
    model = linear_classifier()
    layers = [keras.Input(SHAPE), keras.layers.Flatten(), keras.layers.Dense(CLASSES)]
    twin = keras.Sequential(layers)
    twin.set_weights([model.weight, model.bias])
    return model, twin


def test_it_takes_the_steps_that_it_says():
    model = linear_classifier()
    labels = model.logits(IMAGES).argmax(1)
    attack = make_attack("decaying", EPSILON)
    attack.stop_early = False
    found = attack.perturb(model, IMAGES, labels)
    np.testing.assert_allclose(found, expected_points(model, labels), rtol=0, atol=1e-12)


def test_it_breaks_in_keras_and_numpy_what_an_independent_computation_breaks():
    """By steps of 20 lengths that add up to five radii, a linear model's images reach the corner of
    the ball that they head for."""
    model, twin = linear_models()
    labels = model.logits(IMAGES).argmax(1)
    broken = model.logits(expected_points(model, labels)).argmax(1) != labels
    assert 0.1 < broken.mean() < 0.9
    for attacked in (model, twin):
        found = make_attack("decaying", EPSILON).perturb(attacked, IMAGES, labels)
        assert np.abs(found - IMAGES).max() <= EPSILON + 1e-7
        assert found.min() >= 0 and found.max() <= 1
        np.testing.assert_array_equal(model.logits(found).argmax(1) != labels, broken)


def test_it_has_a_name_for_evaluate_and_words_for_a_table():
    model = linear_classifier()
    labels = model.logits(IMAGES).argmax(1)
    broken = model.logits(expected_points(model, labels)).argmax(1) != labels
    settings = {"epsilon": EPSILON, "progress": False, "check": 0}
    figures, _ = evaluate(model, IMAGES, labels, attacks=("decaying",), **settings)
    assert figures.accuracy["decaying"] == pytest.approx(1 - broken.mean())
    attack = make_attack("decaying", EPSILON)
    assert (attack.name, attack.how) == ("Decaying steps", "20 steps, random start, one run")
