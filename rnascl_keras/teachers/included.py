"""Teachers that come with the package, by name."""

from __future__ import annotations

from pathlib import Path

from rnascl_keras.errors import UserError, nearest
from rnascl_keras.models.included import included


def included_teachers() -> list[str]:
    """Return the names of the teachers that come with the package."""
    return list(included("teachers"))


def teacher_file(weights: str) -> Path:
    """Return the file that a recipe's `teacher.weights` names: a path, or an included teacher.

    Raises:
        UserError: there is neither such a file nor such a teacher.
    """
    own = included("teachers")
    if weights in own:
        return own[weights]
    if not Path(weights).is_file():
        raise UserError(
            f"teacher.weights: there is no file {weights}, and no teacher of that name comes with "
            f"the package; these do: {', '.join(own)}.{nearest(weights, list(own))}"
        )
    return Path(weights)
