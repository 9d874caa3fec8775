"""What is unknown is refused in one wording, with what is known and what was meant."""

from __future__ import annotations

import pytest

from rnascl_keras.errors import UserError, check_name, look_up, one_line

ATTACKS = {"fgsm": 1, "pgd": 20}


def refusal(function, *arguments):
    with pytest.raises(UserError) as error:
        function(*arguments)
    return str(error.value)


def test_what_is_known_is_looked_up():
    assert [look_up("attack", name, ATTACKS) for name in ATTACKS] == [1, 20]
    assert check_name("attack", "pgd", list(ATTACKS)) is None


def test_what_is_unknown_is_named_with_all_that_is_known_and_the_nearest():
    complaint = "attack 'pdg' is unknown; expected one of fgsm, pgd. Did you mean 'pgd'?"
    assert refusal(look_up, "attack", "pdg", ATTACKS) == complaint
    assert refusal(check_name, "attack", "pdg", ("fgsm", "pgd")) == complaint


def test_nothing_is_suggested_where_nothing_is_near():
    words = "attack 'zzz' is unknown; expected one of fgsm, pgd."
    assert refusal(look_up, "attack", "zzz", ATTACKS) == words


def test_what_is_expected_may_be_said_otherwise():
    words = "recipe 'pdg' is unknown; expected a name or a file. Did you mean 'pgd'?"
    assert refusal(check_name, "recipe", "pdg", ATTACKS, "a name or a file") == words


def test_a_long_error_keeps_its_end_where_the_cause_is():
    line = one_line(ValueError("where it happened: " + "x" * 1000 + " because of \x1b[31mthis"))
    assert line.startswith("where it happened") and line.endswith("because of ?[31mthis")
    assert len(line) < 320
