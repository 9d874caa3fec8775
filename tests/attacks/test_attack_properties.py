"""What holds of every attack, whatever images, radius and batch it is given."""

import numpy as np
import pytest
from classifiers import CLASSES, two_layers
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rnascl_keras.attacks import (
    APGD,
    CW,
    FAB,
    FGSM,
    MIFGSM,
    PGD,
    AutoAttack,
    CarliniWagnerL2,
    SparseRS,
    Square,
)
from rnascl_keras.attacks.state import margins
from rnascl_keras.errors import UserError

SHAPE = (6, 5, 2)
MODEL = two_layers(shape=SHAPE)


def auto_attack(epsilon, norm="Linf"):
    """With fewer steps of each member, which changes nothing of what is asked here."""
    attack = AutoAttack(epsilon, norm=norm)
    attack.attacks = [
        APGD(epsilon, norm=norm, steps=5),
        APGD(epsilon, norm=norm, loss="targeted_dlr", steps=5),
        FAB(epsilon, norm=norm, steps=5),
        Square(epsilon, norm=norm, queries=20),
    ]
    return attack


ALL = {
    "fgsm": FGSM,
    "pgd": lambda e, norm: PGD(e, norm=norm, steps=7, restarts=2),
    "mi_fgsm": lambda e, norm: MIFGSM(e, norm=norm, steps=5),
    "cw": lambda e, norm: CW(e, norm=norm, steps=7),
    "apgd_ce": lambda e, norm: APGD(e, norm=norm, steps=12),
    "apgd_dlr": lambda e, norm: APGD(e, norm=norm, loss="dlr", steps=12, samples=2),
    "apgd_t": lambda e, norm: APGD(e, norm=norm, loss="targeted_dlr", steps=8),
    "fab": lambda e, norm: FAB(e, norm=norm, targeted=False, steps=6, restarts=2),
    "fab_t": lambda e, norm: FAB(e, norm=norm, steps=6),
    "square": lambda e, norm: Square(e, norm=norm, queries=30),
    "auto_attack": auto_attack,
}
CASES = [(name, norm) for name in ALL for norm in ("Linf", "L2", "L1")]
CASES += [("cw_l2", "L2"), ("sparse_rs", "L0")]
ALL["cw_l2"] = lambda e, norm: CarliniWagnerL2(e, search_steps=3, steps=8)
ALL["sparse_rs"] = lambda e, norm: SparseRS(round(55 * e), queries=30)  # of 30 pixels
BEST_SO_FAR = {"apgd_ce", "apgd_dlr", "apgd_t", "fab", "fab_t", "square", "auto_attack", "cw_l2"}
BEST_SO_FAR.add("sparse_rs")

each_attack = pytest.mark.parametrize(("name", "norm"), CASES)
few_examples = settings(
    max_examples=8, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True
)
problems = st.fixed_dictionaries(
    {
        "count": st.integers(1, 9),
        "batch_size": st.integers(1, 11),
        "epsilon": st.floats(0.0, 0.6),
        "seed": st.integers(0, 5),
        "kind": st.sampled_from(["float64", "float32", "uint8"]),
    }
)


def make(problem):
    """Images of a kind, pixels at 0 and 1 among them, and labels of which some are wrong."""
    rng = np.random.default_rng(problem["seed"])
    images = rng.uniform(-0.2, 1.2, (problem["count"], *SHAPE)).clip(0, 1)
    if problem["kind"] == "uint8":
        given = np.round(255 * images).astype("u1")
        images = given / np.float32(255)
    else:
        given = images = images.astype(problem["kind"])
    labels = MODEL.logits(images).argmax(1)
    labels[::4] = (labels[::4] + 1) % CLASSES
    return given, images, labels


@each_attack
@given(problem=problems)
@few_examples
def test_every_attack_keeps_its_promises(name, norm, problem):
    given, images, labels = make(problem)
    attack = ALL[name](problem["epsilon"], norm=norm)
    run = {"seed": problem["seed"], "batch_size": problem["batch_size"]}
    found = attack.perturb(MODEL, given, labels, **run)
    assert found.shape == images.shape and found.dtype == images.dtype
    # within the radius and within [0, 1]
    assert attack.norm.length(found.astype(float) - images).max() <= attack.epsilon + 1e-6
    assert found.min() >= 0 and found.max() <= 1
    # what was wrong already is left alone
    wrong = MODEL.logits(images).argmax(1) != labels
    np.testing.assert_array_equal(found[wrong], images[wrong])
    if name in BEST_SO_FAR:
        before, after = (margins(MODEL.logits(x), labels) for x in (images, found))
        assert np.all(after >= before - 1e-5)
    # the same images whatever the batch size, and again
    again = attack.perturb(MODEL, given, labels, seed=problem["seed"], batch_size=64)
    np.testing.assert_array_equal(found, again)


@each_attack
def test_a_radius_of_zero_changes_nothing(name, norm):
    _, images, labels = make({"seed": 1, "count": 5, "kind": "float64"})
    found = ALL[name](0, norm=norm).perturb(MODEL, images, labels)
    np.testing.assert_array_equal(found, images)


@each_attack
def test_an_image_does_not_depend_on_its_neighbours(name, norm):
    _, images, labels = make({"seed": 2, "count": 8, "kind": "float64"})
    attack = ALL[name](0.1, norm=norm)
    whole = attack.perturb(MODEL, images, labels)
    part = attack.perturb(MODEL, images[:3], labels[:3])
    np.testing.assert_array_equal(part, whole[:3])


IMAGES = np.full((2, *SHAPE), 0.5)


class Probabilities:
    def logits(self, images):
        odds = np.exp(MODEL.logits(images))
        return odds / odds.sum(1, keepdims=True)


@each_attack
@pytest.mark.parametrize(
    ("model", "images", "labels", "says"),
    [
        (MODEL, np.where(np.arange(2) > 0, np.nan, IMAGES), [0, 1], "pixels are NaN or infinite"),
        (MODEL, IMAGES * 255, [0, 1], r"pixels range from 127.5 to 127.5; expected \[0, 1\]"),
        (MODEL, IMAGES - 1, [0, 1], "pixels range from -0.5"),
        (MODEL, IMAGES[0], [0, 1], "images have shape"),
        (MODEL, IMAGES[:0], [], "n at least 1"),
        (MODEL, IMAGES, [0], "one integer for each of the 2 images"),
        (MODEL, IMAGES, [0.0, 1.0], "labels are float64"),
        (MODEL, IMAGES, [0, CLASSES], "labels range from 0 to 5; the model has 5 outputs"),
        (Probabilities(), IMAGES, [0, 1], "gives probabilities"),
    ],
)
def test_what_cannot_be_attacked_is_refused_in_one_line(name, norm, model, images, labels, says):
    with pytest.raises(UserError, match=says) as caught:
        ALL[name](0.1, norm=norm).perturb(model, images, np.asarray(labels))
    assert "\n" not in str(caught.value)


def test_a_negative_seed_is_refused():
    with pytest.raises(UserError, match="seed is -1"):
        FGSM(0.1).perturb(MODEL, IMAGES, np.array([0, 1]), seed=-1)
