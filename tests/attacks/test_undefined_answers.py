"""A model whose answer is undefined on attacked images: such an answer is never robust."""

from __future__ import annotations

import keras
import numpy as np
import pytest

from rnascl_keras.attacks import attacks_in, make_attack
from rnascl_keras.attacks.verdict import is_right
from rnascl_keras.evaluation.evaluate import evaluate
from rnascl_keras.evaluation.false_robustness import check_robustness

N, SHAPE, CLASSES, LEVELS = 24, (4, 4, 1), 5, 16
NORMS = ("Linf", "L2", "L1")  # in L0 pixels become 0 or 1, whole levels
RNG = np.random.default_rng(0)
IMAGES = (RNG.integers(1, LEVELS, (N, *SHAPE)) / LEVELS).astype(np.float32)
WEIGHT = RNG.normal(size=(16, CLASSES)).astype(np.float32)


class Breaking:
    """A linear classifier whose answers are undefined but for images of whole levels."""

    def __init__(self, answer, everywhere):
        self.answer, self.everywhere = answer, everywhere

    def logits(self, images):
        flat = np.asarray(images, np.float32).reshape(len(images), -1)
        logits = 40 + flat @ WEIGHT  # far from a boundary as rates go: no attack gets there
        off = np.abs(flat * LEVELS - np.rint(flat * LEVELS)).max(axis=1) > 1e-3
        if self.everywhere:
            logits[off] = self.answer
        else:
            logits[off, logits[off].argmax(axis=1)] = self.answer
        return logits

    def logits_and_gradient(self, images, loss, labels, targets):
        logits = self.logits(images)
        with np.errstate(all="ignore"):
            slopes = loss(np, logits, labels, targets)[1]
        return logits, (slopes @ WEIGHT.T).reshape(images.shape).astype(np.float32)


# An infinite logit of the true class alone has no gradient to leave by.
@pytest.mark.parametrize(
    ("answer", "everywhere"), [(np.nan, True), (np.nan, False), (np.inf, True)]
)
@pytest.mark.parametrize(
    ("name", "norm"),
    [(name, norm) for norm in NORMS for name in attacks_in(norm) if name != "pgd20"],
)
def test_no_image_survives_where_the_answer_is_undefined(name, norm, answer, everywhere):
    model = Breaking(answer, everywhere)
    labels = model.logits(IMAGES).argmax(axis=1)  # all are right, class 0 among them
    assert 0 in labels
    found = make_attack(name, 0.01, norm=norm).perturb(model, IMAGES, labels)
    moved = np.abs(found - IMAGES).max(axis=(1, 2, 3)) > 1e-4
    assert moved.all()
    assert not is_right(model.logits(found), labels).any()
    settings = {"epsilon": 0.01, "norm": norm, "check": 0, "progress": False}
    evaluation, _ = evaluate(model, IMAGES, labels, attacks=(name,), **settings)
    assert evaluation.accuracy["clean"] == 1
    assert evaluation.accuracy["worst"] == 0
    (key,) = set(evaluation.accuracy) - {"clean", "worst"}
    assert np.trace(evaluation.confusion["clean"]) == N
    assert np.sum(evaluation.confusion[key]) == 0  # they are given no class, their own least of all
    assert len(evaluation.examples[key].answers) == 0


def test_a_keras_model_that_turns_undefined_is_not_robust():
    images = keras.Input(SHAPE)
    logits = keras.layers.Dense(CLASSES)(keras.layers.Flatten()(images))
    off = keras.ops.abs(images * LEVELS - keras.ops.round(images * LEVELS)) > 1e-3
    off = keras.ops.any(off, axis=(1, 2, 3))[:, None]
    model = keras.Model(images, keras.ops.where(off, np.nan, logits))
    labels = np.asarray(model(IMAGES)).argmax(axis=1)
    evaluation, _ = evaluate(
        model, IMAGES, labels, attacks=("pgd", "square"), epsilon=0.01, check=0, progress=False
    )
    assert evaluation.accuracy["clean"] == 1
    assert evaluation.accuracy["pgd20"] == evaluation.accuracy["square"] == 0


@pytest.mark.parametrize("name", attacks_in("L0"))
def test_no_image_survives_in_l0_where_black_and_white_are_undefined(name):
    class BlackAndWhite(Breaking):
        def logits(self, images):
            flat = np.asarray(images, np.float32).reshape(len(images), -1)
            logits = 40 + flat @ WEIGHT
            logits[((flat <= 0) | (flat >= 1)).any(axis=1)] = self.answer
            return logits

    model = BlackAndWhite(np.nan, everywhere=True)
    labels = model.logits(IMAGES).argmax(axis=1)
    settings = {"epsilon": 3, "norm": "L0", "check": 0, "progress": False}
    evaluation, _ = evaluate(model, IMAGES, labels, attacks=(name,), **settings)
    assert (evaluation.accuracy["clean"], evaluation.accuracy["worst"]) == (1, 0)


def test_a_model_that_breaks_down_when_asked_again_is_called_random():
    class Second(Breaking):
        asked = 0

        def logits(self, images):
            logits = super().logits(images)
            if np.array_equal(images, IMAGES):
                self.asked += 1
                logits[: N // 2] = np.nan if self.asked > 1 else logits[: N // 2]
            return logits

    labels = Breaking(np.nan, everywhere=True).logits(IMAGES).argmax(axis=1)
    settings = {"epsilon": 0.01, "queries": 10}
    check = check_robustness(Second(np.nan, everywhere=True), IMAGES, labels, **settings)
    (found,) = (f for f in check.findings if f.name == "random")
    assert not found.passed and f"on {N // 2} images" in found.words


def test_a_probability_of_zero_is_an_answer_like_any_other():
    logits = np.array([[0.0, -np.inf], [-np.inf, 1.0], [-np.inf, -np.inf], [np.inf, 0.0]])
    assert is_right(logits, np.array([0, 1, 0, 0])).tolist() == [True, True, False, False]
