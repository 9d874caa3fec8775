"""Attacks by name: their published settings, what they refuse, and what they import."""

import subprocess
import sys

import numpy as np
import pytest
from classifiers import SHAPE, images_of, linear_classifier
from numpy_attacks import clip

from rnascl_keras.attacks import (
    ATTACKS,
    CW,
    FGSM,
    PGD,
    CarliniWagnerL2,
    SparseRS,
    attacks_in,
    make_attack,
)
from rnascl_keras.attacks.iterated import IteratedAttack
from rnascl_keras.errors import UserError

IMAGES = images_of()


@pytest.mark.parametrize(
    ("name", "key", "steps", "step_size", "random_start"),
    [
        ("fgsm", "fgsm", 1, 0.08, False),
        ("pgd", "pgd20", 20, 0.02, True),
        ("pgd20", "pgd20", 20, 0.02, True),
        ("mi_fgsm", "mi_fgsm", 10, 0.008, False),
        ("cw", "cw", 20, 0.02, True),
    ],
)
def test_published_settings(name, key, steps, step_size, random_start):
    attack = make_attack(name, 0.08)
    assert (attack.key, attack.steps, attack.random_start) == (key, steps, random_start)
    assert attack.step_size == pytest.approx(step_size) and attack.epsilon == 0.08
    assert attack.restarts == 1


def test_the_keys_are_those_promised():
    keys = [make_attack(name, 1).key for name in ATTACKS]
    first, last = (
        ["fgsm", "pgd20", "pgd20", "mi_fgsm", "cw", "apgd_ce"],
        ["sparse_rs", "auto_attack"],
    )
    assert keys == [*first, "square", *last]


def test_unknown_names_tell_the_nearest():
    with pytest.raises(UserError, match=r"'mifgsm' is unknown.*Did you mean 'mi_fgsm'"):
        make_attack("mifgsm", 0.1)
    with pytest.raises(UserError, match=r"norm 'Linff' is unknown.*Did you mean 'Linf'"):
        FGSM(0.1, norm="Linff")
    with pytest.raises(UserError, match=r"loss 'margn' is unknown.*Did you mean 'margin'"):
        PGD(0.1, loss="margn")


@pytest.mark.parametrize("epsilon", [-0.1, 8, float("nan")])
@pytest.mark.parametrize("name", attacks_in("Linf"))
def test_epsilon_outside_the_pixel_range_is_refused(name, epsilon):
    with pytest.raises(UserError, match=r"epsilon is .*\(0, 1\]"):
        make_attack(name, epsilon)


@pytest.mark.parametrize("norm", ["L2", "L1"])
def test_a_long_radius_is_one_in_l2_and_l1(norm):
    assert PGD(8, norm=norm).epsilon == 8
    for epsilon in (-1.0, float("inf"), float("nan")):
        with pytest.raises(UserError, match=r"epsilon is .*\(0, inf\)"):
            PGD(epsilon, norm=norm)


def test_a_radius_in_l0_is_a_number_of_pixels():
    assert make_attack("sparse_rs", 8).epsilon == 8
    for epsilon in (-1, 1.5, 8 / 255, float("inf"), float("nan")):
        with pytest.raises(UserError, match="epsilon is .*a whole number of pixels"):
            make_attack("sparse_rs", epsilon)


def test_an_attack_without_a_form_for_the_norm_says_what_there_is():
    assert attacks_in("L0") == ["sparse_rs"]
    assert attacks_in("L1") == [name for name in ATTACKS if name != "sparse_rs"]
    for name in attacks_in("L2"):
        with pytest.raises(UserError, match="attacks within .*; got L0.*sparse_rs"):
            make_attack(name, 2, norm="L0")
    for kind, norm in ((SparseRS, "Linf"), (SparseRS, "L1"), (CarliniWagnerL2, "Linf")):
        with pytest.raises(UserError, match=f"{kind.__name__} attacks within .*; got {norm}"):
            kind(1, norm=norm)


def test_a_new_attack_needs_only_its_difference():
    """A step towards class 0, written the way other attacks are."""

    class TowardsZero(IteratedAttack):
        key = "towards_zero"

        def advance(self, state, step):
            return state.x + self.epsilon * np.sign(state.gradient)

        @staticmethod
        def loss(ops, logits, labels, targets):
            slopes = np.zeros_like(logits)
            slopes[:, 0] = 1
            return logits[:, 0], slopes

    model = linear_classifier()
    labels = model.logits(IMAGES).argmax(1)
    found = TowardsZero(0.1, steps=1).perturb(model, IMAGES, labels)
    expected = clip(IMAGES + 0.1 * np.sign(model.weight[:, 0]).reshape(SHAPE), IMAGES, 0.1)
    np.testing.assert_allclose(found, expected, atol=1e-12)


@pytest.mark.parametrize("kind", [FGSM, CW])
def test_a_model_without_gradient_is_sent_to_square(kind):
    class LogitsOnly:
        def logits(self, images):
            return linear_classifier().logits(images)

    labels = LogitsOnly().logits(IMAGES).argmax(1)
    with pytest.raises(UserError, match="a LogitsOnly does not give; attack it with square"):
        kind(0.1).perturb(LogitsOnly(), IMAGES, labels)
    found = make_attack("square", 0.2, queries=50).perturb(LogitsOnly(), IMAGES, labels)
    assert np.mean(LogitsOnly().logits(found).argmax(1) != labels) > 0.5


def test_what_is_no_model_is_refused():
    with pytest.raises(UserError, match="a function cannot be attacked; expected a Keras model"):
        FGSM(0.1).perturb(lambda images: images, IMAGES, np.zeros(12, int))


def test_importing_and_using_attacks_imports_no_tensorflow():
    code = """
import sys
import numpy as np
sys.path.insert(0, "tests")
from classifiers import images_of, linear_classifier
from rnascl_keras.attacks import attacks_in, make_attack
from rnascl_keras.evaluation.evaluate import evaluate
model, images = linear_classifier(), images_of(4)
labels = model.logits(images).argmax(1)
evaluate(model, images, labels, attacks=set(attacks_in("Linf")) - {"auto_attack"}, epsilon=0.4)
make_attack("sparse_rs", 2).perturb(model, images, labels)
make_attack("auto_attack", 0.4).perturb(model, images, labels)
sys.exit(bool({"tensorflow", "keras"} & set(sys.modules)))
"""
    assert subprocess.run([sys.executable, "-c", code], timeout=120).returncode == 0
