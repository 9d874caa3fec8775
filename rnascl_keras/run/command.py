"""How the user called for a run, to name other commands of the same run."""

from __future__ import annotations

import shlex
from dataclasses import dataclass


@dataclass(frozen=True)
class Command:
    """What a command of a run was given.

    Attributes:
        recipe: its name or file, as given.
        options: `--workdir DIR`, `--data-dir DIR`, where they were given.
        changes: `KEY=VALUE` of each `--set`.
    """

    recipe: str
    options: tuple[str, ...] = ()
    changes: tuple[str, ...] = ()

    def line(self, verb: str, *more: str) -> str:
        """Return the command `rnascl VERB` of this run, with `more` at its end."""
        sets = (part for change in self.changes for part in ("--set", change))
        return shlex.join(["rnascl", verb, self.recipe, *self.options, *sets, *more])
