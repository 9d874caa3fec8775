"""The help names all that can be chosen, though it loads none of it."""

from __future__ import annotations

import re

import pytest

from rnascl_keras.attacks import ATTACKS
from rnascl_keras.attacks.norms import NORMS
from rnascl_keras.comparison.methods import METHODS
from rnascl_keras.comparison.names import METHOD_NAMES
from rnascl_keras.distribution.strategies import STRATEGIES
from rnascl_keras.tuning.hyperparameters import HYPERPARAMETERS

EVERY_ATTACK = set(ATTACKS) - {"pgd20"}  # pgd once more, by its key


def test_the_names_of_the_methods_are_those_of_the_methods():
    assert tuple(METHODS) == METHOD_NAMES


@pytest.mark.parametrize("command", ["run", "attack", "clean", "prune", "compare-networks"])
def test_flags_take_no_value(rnascl, command):
    flags = [line for line in rnascl(command, "--help").out.splitlines() if "<bool>" in line]
    assert all("--help" in line for line in flags)  # typer's own


@pytest.mark.parametrize(
    ("command", "names"),
    [
        ("compare", METHODS),
        ("tune", HYPERPARAMETERS),
        ("evaluate", EVERY_ATTACK),
        ("attack", EVERY_ATTACK),
        ("attack", NORMS),
        ("run", STRATEGIES),
    ],
)
def test_the_help_names_every_choice(rnascl, command, names):
    shown = re.findall(r"\w+", rnascl(command, "--help").out)
    assert set(names) <= set(shown)
