"""Least accuracies that a build server wants: `--fail-below pgd20=0.40,auto_attack=0.35`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from rnascl_keras.attacks import make_attack
from rnascl_keras.errors import UserError, check_name
from rnascl_keras.units import percent, percents_apart

CORRUPTIONS = "corruptions"
"""Key of the mean accuracy under corruptions."""


def parse_gate(
    text: str, attacks: Sequence[str], epsilon: float, norm: str, *, corrupted: bool = False
) -> dict[str, float]:
    """Return the least accuracies, from 0 to 1, by key.

    Args:
        text: ``key=least``, parted by commas; an attack may be called as in `--attacks`.
        attacks: those that are run.
        epsilon, norm: of the ball.
        corrupted: whether the accuracy under corruptions is measured.

    Raises:
        UserError: one is no share from 0 to 1, of an attack that is not run, or a second of one.
    """
    keys = {name: make_attack(name, epsilon, norm=norm).key for name in attacks}
    known = {"clean": "clean", **keys, **{key: key for key in keys.values()}}
    known |= {"worst": "worst"} if keys else {}
    known |= {CORRUPTIONS: CORRUPTIONS} if corrupted else {}
    found: dict[str, float] = {}
    for part in text.split(","):
        name, _, least = part.strip().partition("=")
        check_name("--fail-below", name, list(known), f"one of what is run: {', '.join(known)}")
        if known[name] in found:
            raise UserError(f"--fail-below names {known[name]} twice: {text!r}; give it once.")
        found[known[name]] = _share(least, part)
    return found


def _share(text: str, part: str) -> float:
    try:
        share = float(text)
    except ValueError:
        share = -1.0
    if not 0 <= share <= 1:
        raise UserError(
            f"--fail-below wants an accuracy from 0 to 1 for each attack, e.g. pgd20=0.40; got "
            f"{part.strip()!r}."
        )
    return share


def below_the_gate(
    name: str, accuracy: Mapping[str, float], least: Mapping[str, float]
) -> list[str]:
    """Return in words which accuracies of a model are below the least, or were not measured.

    Args:
        name: of the model.
        accuracy, least: from 0 to 1, by key of an evaluation's accuracies or `CORRUPTIONS`.
    """
    words = []
    for key, wanted in least.items():
        found = accuracy.get(key)
        if found is None:
            words.append(
                f"{name}: {key} was not measured, at least {percent(wanted)} % is required"
            )
        elif found < wanted:
            own, required = percents_apart(found, wanted)
            words.append(f"{name}: {key} is {own} %, below the required {required} %")
    return words
