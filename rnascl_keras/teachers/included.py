"""Teachers that come with the package, by name."""

from __future__ import annotations

from pathlib import Path

from rnascl_keras.models.included import included, included_or_given


def included_teachers() -> list[str]:
    """Return the names of the teachers that come with the package."""
    return list(included("teachers"))


def model_card(name: str) -> str:
    """Return what the model card of an included teacher calls it, "" where there is none."""
    card = included("teachers")[name].with_suffix(".md")
    heading = card.read_text().partition("\n")[0] if card.exists() else ""
    return heading.partition(": ")[2]


def teacher_file(weights: str) -> Path:
    """Return the file that `teacher.weights` names: a path, one of the hub, or an included teacher.

    Raises:
        UserError: there is neither such a file nor such a teacher, or it cannot be fetched.
    """
    return included_or_given("teacher.weights", weights, "teachers")
