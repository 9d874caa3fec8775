"""What attacks say of themselves, with other settings than the published ones."""

import pytest

from rnascl_keras.attacks import (
    APGD,
    FAB,
    FGSM,
    MIFGSM,
    PGD,
    Attack,
    AutoAttack,
    CarliniWagnerL2,
    Square,
    make_attack,
)
from rnascl_keras.attacks.auto_attack import VERSIONS


@pytest.mark.parametrize(
    ("attack", "name", "how"),
    [
        (PGD(0.1, steps=1), "PGD-1", "1 step of ε/4, random start, one run"),
        (
            PGD(0.1, steps=50, step_size=0.01, restarts=2, random_start=False),
            "PGD-50",
            "50 steps of ε/10, no random start, 2 runs",
        ),
        (PGD(0.1, step_size=0.03), "PGD-20", "20 steps of 0.3 ε, random start, one run"),
        (PGD(0.1, step_size=0.3), "PGD-20", "20 steps of 3 ε, random start, one run"),
        (PGD(0), "PGD-20", "20 steps, random start, one run"),
        (
            PGD(0.1, loss="margin"),
            "PGD-20",
            "20 steps of ε/4, random start, one run, on the margin of logits",
        ),
        (
            FAB(0.1, steps=1),
            "targeted FAB",
            "1 step onto the linearised boundary, one run against each of 9 targets",
        ),
        (APGD(0.1, steps=1), "APGD on cross-entropy", "1 step, random start, one run"),
        (FGSM(0.031), "FGSM", "1 step of ε, no random start"),
        (MIFGSM(1 / 3, steps=7, decay=0.9), "MI-FGSM", "7 steps of ε/7, momentum with decay 0.9"),
        (
            CarliniWagnerL2(0.5, search_steps=3, steps=8),
            "CW",
            "3 weights by bisection, 8 steps of Adam each, from the image",
        ),
        (
            Square(0.1, queries=500, restarts=2),
            "Square",
            "500 queries of the logits, no gradient, 2 runs",
        ),
        (
            APGD(0.1, loss="dlr", samples=20),
            "APGD on DLR",
            "100 steps, random start, one run, gradients averaged over 20 passes",
        ),
        (
            APGD(0.1, loss="targeted_dlr"),
            "targeted APGD",
            "100 steps, random start, one run against each of 9 targets",
        ),
        (
            FAB(0.1, targeted=False, restarts=5),
            "FAB",
            "100 steps onto the linearised boundary, 5 runs",
        ),
    ],
)
def test_attacks_tell_their_settings(attack, name, how):
    assert (attack.name, attack.how) == (name, how)


def test_carlini_and_wagners_two_attacks_tell_what_they_are():
    hows = [make_attack("cw", 0.5, norm=norm).how for norm in ("Linf", "L2")]
    assert hows[0].startswith("20 steps of ε/4") and hows[1].startswith("9 weights by bisection")


@pytest.mark.parametrize("version", VERSIONS)
def test_autoattack_tells_its_version_and_names_its_members(version):
    attack = AutoAttack(0.1, version=version)
    assert attack.how.startswith(f"{version}: ")
    for member in attack.attacks:
        for word in member.name.removeprefix("targeted ").split(" on "):
            assert word in attack.how


def test_an_attack_that_has_no_settings_tells_none():
    assert Attack(0.1).how == ""
