"""How numbers, attacks and layers are written."""

from __future__ import annotations

import re

import pytest

from rnascl_keras import attacks, units
from rnascl_keras.report import keys

EPSILON = 8 / 255


def test_attack_words_agree_with_the_attacks():
    for name in attacks.attacks_in("Linf"):
        attack = attacks.make_attack(name, EPSILON)
        how = keys.attack_how(attack.key)
        stepping = re.match(r"(\d+) steps? of ε(?:/(\d+))?, (random start)?", how)
        assert bool(stepping) == hasattr(attack, "step_size")
        if stepping:
            steps, divisor, random_start = stepping.groups()
            assert attack.steps == int(steps)
            assert attack.step_size == pytest.approx(EPSILON / int(divisor or 1))
            assert attack.random_start == bool(random_start)
    assert f"{attacks.make_attack('square', EPSILON).steps:,} queries" in keys.attack_how("square")
    members = attacks.make_attack("auto_attack", EPSILON).attacks
    assert [member.key for member in members] == ["apgd_ce", "apgd_t", "fab_t", "square"]


@pytest.mark.parametrize(
    ("key", "name", "how"),
    [
        ("clean", "Clean", "the images as they are"),
        ("fgsm", "FGSM", "1 step of ε, no random start"),
        ("pgd20", "PGD-20", "20 steps of ε/4, random start, one run"),
        ("mi_fgsm", "MI-FGSM", "10 steps of ε/10, momentum with decay 1"),
        ("cw", "CW", "20 steps of ε/4, random start, one run, on the margin of logits"),
        ("square", "Square", "5,000 queries of the logits, no gradient"),
        (
            "auto_attack",
            "AutoAttack",
            "standard: APGD on cross-entropy, targeted APGD and FAB, Square; one run each",
        ),
        ("worst", "Worst case", "right on the clean image and under every attack above"),
        ("pgd7", "pgd7", ""),
    ],
)
def test_what_stands_beside_an_accuracy(key, name, how):
    assert (keys.attack_name(key), keys.attack_how(key)) == (name, how)
    assert keys.attack_name(f"transfer_{key}") == name


def test_in_l2_another_attack_stands_behind_the_same_key():
    how = "9 weights by bisection, 100 steps of Adam each, from the image"
    assert keys.attack_how("cw", "L2") == how
    assert keys.attack_how("pgd20", "L2") == keys.attack_how("pgd20")
    assert keys.attack_how("clean", "L2") == "the images as they are"
    assert "5 runs of the first" in keys.attack_how("auto_attack", "L1")
    assert "balls of 3, 2 and 1 times the radius" in keys.attack_how("apgd_ce", "L1")
    assert keys.attack_how("sparse_rs", "L0") == "10,000 queries of the logits, no gradient"
    assert keys.attack_name("sparse_rs") == "Sparse-RS"


@pytest.mark.parametrize(
    ("number", "written"),
    [(7, "7"), (999, "999"), (1_000, "1.00 k"), (7_310, "7.31 k"), (99_960, "100 k")]
    + [(113_210, "113 k"), (999_499, "999 k"), (999_960, "1.00 M"), (1_238_500_000, "1.24 G")],
)
def test_counts_have_three_digits(number, written):
    assert units.count(number) == written


def test_radius_duration_and_layers_in_words():
    assert [units.radius(e) for e in (8 / 255, 0.1, 0.031, 0.3 / 255)] == [
        "8/255",
        "0.1",
        "0.031",
        "0.00118",
    ]
    assert [units.duration(s) for s in (0.42, 59.4, 59.9, 725, 3599.7, 11_220)] == [
        "0.4 s",
        "59 s",
        "1 min 00 s",
        "12 min 05 s",
        "1 h 00 min",
        "3 h 07 min",
    ]
    assert keys.short_layer("stage2_block3_expand") == "2.3 expand"
    assert keys.short_layer("stage2_block3") == "2.3" and keys.short_layer("stem") == "stem"
