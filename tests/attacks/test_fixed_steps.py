"""Attacks with steps of fixed length against NumPy in float64."""

import numpy as np
import pytest
from classifiers import images_of, linear_classifier, two_layers
from numpy_attacks import REFERENCES

from rnascl_keras.attacks import MIFGSM, PGD, make_attack

IMAGES = images_of()


@pytest.mark.parametrize("epsilon", [0.03, 0.4])
@pytest.mark.parametrize("name", REFERENCES)
def test_same_trajectory_as_numpy(name, epsilon):
    """Without stopping early, all steps are taken, also beyond the boundary."""
    model = linear_classifier()
    labels = model.logits(IMAGES).argmax(1)
    attack = make_attack(name, epsilon)
    attack.stop_early = False
    found = attack.perturb(model, IMAGES, labels)
    expected = REFERENCES[name](model, IMAGES, labels, epsilon)
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-12)


@pytest.mark.parametrize("name", REFERENCES)
def test_stopping_early_decides_alike_and_leaves_an_image_as_it_falls(name):
    model = two_layers()
    labels = model.logits(IMAGES).argmax(1)
    whole, early = make_attack(name, 0.06), make_attack(name, 0.06)
    whole.stop_early = False
    fallen = [model.logits(a.perturb(model, IMAGES, labels)).argmax(1) for a in (whole, early)]
    # An image that is back on the right side after its last step is broken all the same.
    assert np.all((fallen[1] != labels) >= (fallen[0] != labels))
    assert 0 < np.mean(fallen[1] != labels) < 1


def test_pgd_stops_after_the_given_steps():
    model = linear_classifier()
    labels = model.logits(IMAGES).argmax(1)
    attack = PGD(0.2, steps=3, step_size=0.05, random_start=False, stop_early=False)
    found = attack.perturb(model, IMAGES, labels)
    # the sign may change on the way, but no pixel goes beyond 3 steps
    assert np.abs(found - IMAGES).max() == pytest.approx(0.15, abs=1e-12)
    assert attack.key == "pgd3"


def test_mi_fgsm_divides_by_the_norm_before_adding_momentum():
    class State:
        momentum = np.zeros((1, 1, 2, 1))

    attack, state = MIFGSM(0.1), State()
    state.gradient = np.array([0.9, -0.1]).reshape(1, 1, 2, 1)
    np.testing.assert_array_equal(np.ravel(attack.direction(state)), [1, -1])
    state.gradient = np.array([-60.0, -40.0]).reshape(1, 1, 2, 1)
    # 0.9 - 0.6 and -0.1 - 0.4; without the division both would be negative, and with the sign
    # taken first the first pixel's momentum would be 0
    np.testing.assert_array_equal(np.ravel(attack.direction(state)), [1, -1])
    np.testing.assert_allclose(np.ravel(state.momentum), [0.3, -0.5], atol=1e-15)


@pytest.mark.parametrize("name", REFERENCES)
def test_a_saturated_model_is_attacked_all_the_same(name):
    """Of logits 1,000 times as large the cross-entropy has no gradient in float32."""
    model = linear_classifier()
    model.weight, model.bias = (1000 * part.astype("f4") for part in (model.weight, model.bias))
    images = IMAGES.astype("f4")
    logits = model.logits(images)
    second, first = np.sort(logits, axis=1)[:, -2:].T
    assert np.all(np.exp(second - first) == 0)
    found = make_attack(name, 0.4).perturb(model, images, logits.argmax(1))
    assert np.all(model.logits(found).argmax(1) != logits.argmax(1))


class Undefined:
    """A classifier whose gradient is undefined."""

    def logits(self, images):
        return np.stack([1 + images.sum((1, 2, 3)), images.sum((1, 2, 3))], axis=1)

    def logits_and_gradient(self, images, loss, labels, targets):
        gradient = np.zeros_like(images)
        gradient[:, 0] = np.nan
        return self.logits(images), gradient


ENTRIES = [("fgsm", "Linf"), ("fgsm", "L2"), ("mi_fgsm", "Linf"), ("mi_fgsm", "L2"), ("cw", "L2")]


@pytest.mark.parametrize(("name", "norm"), ENTRIES)
def test_an_undefined_gradient_moves_nothing_and_stays_finite(name, norm):
    found = make_attack(name, 0.1, norm=norm).perturb(Undefined(), IMAGES, np.zeros(12, int))
    np.testing.assert_array_equal(found, IMAGES)


class Root:
    """A linear classifier of the roots of pixels, whose slope is infinite at black ones."""

    def __init__(self):
        self.linear = linear_classifier()

    def logits(self, images):
        return self.linear.logits(np.sqrt(images))

    def logits_and_gradient(self, images, loss, labels, targets):
        roots = np.sqrt(images)
        logits, gradient = self.linear.logits_and_gradient(roots, loss, labels, targets)
        with np.errstate(divide="ignore"):
            return logits, gradient / (2 * roots)


@pytest.mark.parametrize("black", [False, True])
@pytest.mark.parametrize(("name", "norm"), ENTRIES)
def test_an_infinite_gradient_is_followed_by_its_sign(name, norm, black):
    """Of images with some black pixels, or with these alone."""
    model, images = Root(), IMAGES * (0 if black else np.arange(IMAGES.shape[2])[:, None] > 0)
    labels = model.logits(images).argmax(1)
    found = make_attack(name, 0.3, norm=norm).perturb(model, images, labels)
    assert np.isfinite(found).all()
    assert np.all((found != images)[images == 0].reshape(12, -1).any(axis=1))
