"""How numbers, attacks and layers are written."""

from __future__ import annotations

import pytest

from rnascl_keras import units
from rnascl_keras.report import keys

EPSILON = 8 / 255


def test_attack_words_agree_with_the_attacks():
    attacks = pytest.importorskip("rnascl_keras.attacks", exc_type=ImportError)
    for name in attacks.ATTACKS:
        attack = attacks.make_attack(name, EPSILON)
        words = keys.ATTACKS[attack.key]
        assert words.steps == (attack.steps if hasattr(attack, "step_size") else 0)
        if words.steps:
            assert words.how.startswith(f"{words.steps} step")
            assert attack.step_size == pytest.approx(EPSILON / words.divisor)
            assert attack.random_start == words.remark.startswith("random start")
    assert f"{attacks.make_attack('square', EPSILON).steps:,} queries" in keys.attack_how("square")
    members = attacks.make_attack("auto_attack", EPSILON).attacks
    assert [member.key for member in members] == ["apgd_ce", "apgd_t", "fab_t", "square"]


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
