"""Where the clean accuracy is near chance, nothing is said about robustness."""

from __future__ import annotations

import json

import numpy as np
import pytest

from rnascl_keras.evaluation.evaluate import evaluate
from rnascl_keras.evaluation.near_chance import near_chance


def answers(right, classes, n=200):
    """Logits that are right on a share of n images and else name the next class; the labels."""
    labels = np.arange(n) % classes
    given = np.where(np.arange(n) < round(right * n), labels, (labels + 1) % classes)
    return np.eye(classes)[given], labels


@pytest.mark.parametrize(
    ("classes", "right", "guesses"),
    [
        (10, 0.0, True),  # another order of labels
        (10, 0.1, True),
        (10, 0.15, True),
        (10, 0.2, False),
        (2, 0.55, True),
        (2, 0.7, False),
        (3, 0.45, True),
        (3, 0.6, False),
        (100, 0.015, True),
        (100, 0.05, False),
    ],
)
def test_near_chance_by_the_number_of_classes(classes, right, guesses):
    found = near_chance(*answers(right, classes))
    assert bool(found) == guesses
    if guesses:
        assert f"near chance ({100 * right:.1f} %)" in found
        assert (
            "check scale, mean and std, channel order, order of labels; or it has hardly learned"
            in found
        )


def test_one_output_that_is_never_negative():
    """As it puts 85 % of the images right, nothing else would be noticed."""
    z, labels = np.linspace(0.1, 100, 20), (np.arange(20) >= 3).astype(int)
    found = near_chance(np.stack([0 * z, z], axis=1), labels)
    assert found and "never negative" in found and "a probability" in found
    assert near_chance(np.stack([0 * z, z - 10], axis=1), labels) is None
    assert near_chance(np.stack([0 * z, z], axis=1)[:6], labels[:6] * 0 + 1) is None


def test_nearly_all_images_in_one_class():
    labels = np.array([0] * 70 + [1] * 30)
    logits = np.eye(2)[np.array([0] * 99 + [1])]
    assert "99.0 % of the clean images are put into one class, 0" in near_chance(logits, labels)
    assert near_chance(np.eye(2)[np.zeros(100, int)], np.zeros(100, int)) is None


class Linear:
    """Gives class 1 where the first pixel is bright, if the pixels are in [0, 1]."""

    def __init__(self, scale=1.0):
        self.scale = scale

    def logits(self, images):
        z = self.scale * images[:, 0, 0, 0] - 0.5
        return np.stack([0 * z, z], axis=1)

    def logits_and_gradient(self, images, loss, labels, targets):
        logits = self.logits(images)
        gradient = np.zeros_like(images)
        gradient[:, 0, 0, 0] = self.scale * loss(np, logits, labels, targets)[1][:, 1]
        return logits, gradient


def test_no_verdict_is_given_there():
    images = np.random.default_rng(0).uniform(size=(60, 3, 3, 1)).astype(np.float32)
    labels = (images[:, 0, 0, 0] > 0.5).astype(int)
    settings = {"attacks": ("pgd",), "epsilon": 0.01, "check": 20, "progress": False}
    good, _ = evaluate(Linear(), images, labels, **settings)
    assert good.near_chance is None and good.check is not None
    wrong_scale, _ = evaluate(Linear(255.0), images, labels, **settings)
    assert "near chance" in wrong_scale.near_chance or "one class" in wrong_scale.near_chance
    assert wrong_scale.check is None
    assert json.loads(json.dumps(wrong_scale.as_dict()))["near_chance"] == wrong_scale.near_chance
