"""Teachers that come with the package, by name."""

from __future__ import annotations

import importlib.resources
from pathlib import Path

from rnascl_keras.errors import UserError, nearest


def included_teachers() -> list[str]:
    """Return the names of the teachers that come with the package."""
    return sorted(file.stem for file in _folder().glob("*.keras"))


def teacher_file(weights: str) -> Path:
    """Return the file that a recipe's `teacher.weights` names: a path, or an included teacher.

    Raises:
        UserError: there is neither such a file nor such a teacher.
    """
    included = included_teachers()
    if weights in included:
        return _folder() / f"{weights}.keras"
    if not Path(weights).is_file():
        raise UserError(
            f"teacher.weights: there is no file {weights}, and no teacher of that name comes with "
            f"the package; these do: {', '.join(included)}.{nearest(weights, included)}"
        )
    return Path(weights)


def _folder() -> Path:
    return Path(str(importlib.resources.files("rnascl_keras.recipes"))) / "teachers"
