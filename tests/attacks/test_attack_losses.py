"""What attacks raise: by its formula, its derivative, and in both array namespaces."""

import keras
import numpy as np
import pytest
from classifiers import images_of, linear_classifier
from scipy.special import log_softmax

from rnascl_keras.attacks import APGD, FAB, AutoAttack, losses
from rnascl_keras.attacks.apgd_steps import _checkpoints
from rnascl_keras.errors import UserError

RNG = np.random.default_rng(0)
LOGITS = 3 * RNG.normal(size=(40, 6))
LABELS, TARGETS = RNG.integers(0, 6, 40), RNG.integers(0, 6, 40)
TARGETS = np.where(TARGETS == LABELS, (LABELS + 1) % 6, TARGETS)
ALL = [losses.log_odds, losses.margin, losses.difference, losses.dlr, losses.targeted_dlr]


def others(row, label):
    return np.delete(row, label).max()


def by_formula(loss, row, label, target):
    """Of one image, as the papers print them."""
    first, _, third, fourth = np.sort(row)[::-1][:4]
    return {
        "margin": others(row, label) - row[label],
        "difference": row[target] - row[label],
        "dlr": -(row[label] - others(row, label)) / (first - third),
        "targeted_dlr": -(row[label] - row[target]) / (first - (third + fourth) / 2),
    }[loss]


@pytest.mark.parametrize("loss", ALL[1:])
def test_values_by_their_formula(loss):
    found, _ = loss(np, LOGITS, LABELS, TARGETS)
    rows = zip(LOGITS, LABELS, TARGETS, strict=True)
    expected = [by_formula(loss.name, *row) for row in rows]
    np.testing.assert_allclose(found, expected, rtol=1e-9)


def test_the_log_odds_are_the_cross_entropy_without_its_underflow():
    found, _ = losses.log_odds(np, LOGITS, LABELS, TARGETS)
    expected = -log_softmax(LOGITS, axis=1)[np.arange(40), LABELS]
    np.testing.assert_allclose(np.log1p(np.exp(found)), expected, rtol=1e-12)
    _, slopes = losses.log_odds(np, 1e5 * LOGITS.astype("f4"), LABELS, TARGETS)
    assert np.all(np.abs(slopes).sum(1) > 1.9)


@pytest.mark.parametrize("loss", ALL)
def test_derivatives_are_those_of_finite_differences(loss):
    _, found = loss(np, LOGITS, LABELS, TARGETS)
    for k in range(6):
        step = 1e-6 * np.eye(6)[k]
        ends = [loss(np, LOGITS + sign * step, LABELS, TARGETS)[0] for sign in (1, -1)]
        np.testing.assert_allclose(found[:, k], (ends[0] - ends[1]) / 2e-6, atol=1e-6)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("loss", ALL)
def test_keras_says_what_numpy_says(loss, dtype):
    logits = LOGITS.astype(dtype)
    tensors = [keras.ops.convert_to_tensor(part) for part in (logits, LABELS, TARGETS)]
    for found, expected in zip(
        loss(keras.ops, *tensors), loss(np, logits, LABELS, TARGETS), strict=True
    ):
        assert keras.backend.standardize_dtype(found.dtype) == dtype == expected.dtype
        np.testing.assert_allclose(found, expected, rtol=1e-5 if dtype == "float32" else 1e-12)


@pytest.mark.parametrize(
    ("attack", "classes", "says"),
    [
        (
            APGD(0.1, loss="dlr"),
            2,
            "apgd_dlr needs a model of at least 3 classes for its loss",
        ),
        (APGD(0.1, loss="targeted_dlr"), 3, "apgd_t needs a model of at least 4 classes"),
        (AutoAttack(0.1), 3, "apgd_t needs .* this one has 3: attack it with pgd, cw and square"),
        (AutoAttack(0.1, version="rand"), 2, "apgd_dlr needs a model of at least 3"),
    ],
)
def test_too_few_classes_are_said_before_anything_is_attacked(attack, classes, says):
    model, images = linear_classifier(classes=classes), images_of(4)
    labels = model.logits(images).argmax(1)
    model.asked.clear()
    with pytest.raises(UserError, match=says):
        attack.perturb(model, images, labels)
    assert model.asked == [4]


def test_enough_classes_are_enough():
    for attack, classes in (
        (APGD(0.1, loss="dlr", steps=3), 3),
        (APGD(0.1, loss="targeted_dlr", steps=3), 4),
        (FAB(0.1, steps=3), 2),
    ):
        model, images = linear_classifier(classes=classes), images_of(4)
        attack.perturb(model, images, model.logits(images).argmax(1))


def test_step_sizes_are_checked_when_the_paper_says():
    """p_0 = 0, p_1 = 0.22, p_{j+1} = p_j + max(p_j - p_{j-1} - 0.03, 0.06), of 100 steps."""
    p = [0.0, 0.22]
    while p[-1] < 1:
        p.append(p[-1] + max(p[-1] - p[-2] - 0.03, 0.06))
    expected = [round(100 * x) for x in p[1:] if round(100 * x) < 100]
    assert list(_checkpoints(100)) == expected
    assert list(_checkpoints(100).values()) == list(np.diff([0, *expected]))
