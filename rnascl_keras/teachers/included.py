"""Teachers that come with the package, by name."""

from __future__ import annotations

from pathlib import Path

from rnascl_keras.models.included import included, included_or_given


def included_teachers() -> list[str]:
    """Return the names of the teachers that come with the package."""
    return list(included("teachers"))


def teacher_file(weights: str) -> Path:
    """Return the file that `teacher.weights` names: a path, one of the hub, or an included teacher.

    Raises:
        UserError: there is neither such a file nor such a teacher, or it cannot be fetched.
    """
    return included_or_given("teacher.weights", weights, "teachers")
