"""Adversarial images for files that take bytes: whole pixels, inside the ball."""

from __future__ import annotations

import numpy as np
import pytest
from classifiers import images_of, two_layers

from rnascl_keras.attacks import FGSM, PGD
from rnascl_keras.attacks.classifier import Batched
from rnascl_keras.attacks.whole_pixels import as_it_sees, rounded_into_ball, whole_radius
from rnascl_keras.evaluation.evaluate import evaluate


class OfBytes:
    """A network that sees pixels rounded to 1 / 255."""

    takes_whole_pixels = True
    inner = two_layers()

    def logits(self, images):
        return self.inner.logits(np.rint(images * 255) / 255)

    def logits_and_gradient(self, images, loss, labels, targets):
        return self.inner.logits_and_gradient(np.rint(images * 255) / 255, loss, labels, targets)


IMAGES = np.rint(255 * images_of(40)) / 255
LABELS = OfBytes().logits(IMAGES).argmax(1)


@pytest.mark.parametrize(
    ("norm", "epsilon"), [("Linf", 8 / 255), ("Linf", 0.1), ("Linf", 0.4 / 255), ("L2", 0.3)]
)
def test_rounded_points_stay_in_the_ball(norm, epsilon):
    attack = PGD(epsilon, norm=norm)
    random = np.random.default_rng(0)
    points = attack.norm.project(IMAGES + random.normal(0, epsilon, IMAGES.shape), IMAGES, epsilon)
    rounded = rounded_into_ball(points, IMAGES, attack)
    np.testing.assert_allclose(rounded * 255, np.rint(rounded * 255), atol=1e-4)
    assert (attack.norm.length(rounded - IMAGES) <= epsilon * (1 + 1e-4)).all()
    assert rounded.min() >= 0 and rounded.max() <= 1
    assert np.abs(rounded - points).max() <= 1.01 / 255


def test_what_fell_is_asked_about_as_the_file_sees_it():
    attack = FGSM(0.1)  # 25.5 levels: rounded to 26 it would leave the ball
    classifier = Batched(OfBytes(), 16)
    logits = classifier.logits(IMAGES)
    found = attack.run(classifier, IMAGES, LABELS, logits)
    seen = as_it_sees(found, attack, classifier, IMAGES, LABELS)
    assert (~seen.robust).any()
    change = np.abs(seen.images - IMAGES).max(axis=(1, 2, 3)) * 255
    assert (change[~seen.robust] <= 25.01).all()
    right = classifier.logits(seen.images).argmax(1) == LABELS
    np.testing.assert_array_equal(seen.robust, right)


def test_rounding_loses_no_more_than_it_must():
    """Of a change on the ball's surface; towards the image it would lose half a level a pixel."""
    attack, shape = PGD(0.5, norm="L2"), (20, 16, 16, 3)
    random = np.random.default_rng(0)
    images = random.integers(40, 216, shape) / 255
    points = attack.norm.project(images + random.normal(0, 0.1, shape), images, 0.5)
    lengths = attack.norm.length(rounded_into_ball(points, images, attack) - images)
    assert (lengths <= 0.5 * (1 + 1e-4)).all() and lengths.min() > 0.97 * 0.5


@pytest.mark.parametrize("norm", ["Linf", "L2", "L1"])
@pytest.mark.parametrize("off", [0, 0.3 / 255])
def test_the_attack_goes_on_where_rounding_takes_an_image_back(norm, off):
    """Many steps then fool no fewer images than one, as without rounding; also where the images
    given lie between the levels."""
    radius = {"Linf": 0.04, "L2": 0.25, "L1": 1.2}[norm]
    settings = {"attacks": ("fgsm", "pgd"), "epsilon": radius, "norm": norm}
    images = np.clip(IMAGES + off, 0, 1)
    labels = OfBytes().logits(images).argmax(1)
    found, made = evaluate(OfBytes(), images, labels, check=0, progress=False, **settings)
    floats, _ = evaluate(OfBytes.inner, images, labels, check=0, progress=False, **settings)
    assert 0 < found.accuracy["pgd20"] <= found.accuracy["fgsm"] < 1
    assert found.accuracy["pgd20"] <= floats.accuracy["pgd20"] + 0.051
    change = made["pgd20"] - np.rint(images * 255) / 255
    assert (PGD(radius, norm=norm).norm.length(change) <= radius * (1 + 1e-4)).all()


def test_the_radius_is_cut_to_whole_levels():
    assert whole_radius(OfBytes(), 2.5 / 255, "Linf") == pytest.approx(2 / 255)
    assert whole_radius(OfBytes(), 8 / 255, "Linf") == pytest.approx(8 / 255)
    assert whole_radius(OfBytes(), 0.5, "L2") == 0.5
    assert whole_radius(OfBytes.inner, 2.5 / 255, "Linf") == 2.5 / 255


def test_an_evaluation_gives_images_of_whole_pixels():
    settings = {"attacks": ("pgd",), "epsilon": 0.1, "check": 0, "progress": False}
    result, made = evaluate(OfBytes(), IMAGES, LABELS, **settings)
    levels = made["pgd20"] * 255
    fallen = OfBytes().logits(made["pgd20"]).argmax(1) != LABELS
    np.testing.assert_allclose(levels[fallen], np.rint(levels[fallen]), atol=1e-4)
    assert result.accuracy["pgd20"] == pytest.approx(1 - fallen.mean())
