"""What a user did wrong, said in one line, and the two ways a run ends from outside."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class UserError(ValueError):
    """A mistake in what the user gave: what was expected, what came, and what to do.

    The command line prints the message as it is and exits with code 2; everything else that
    escapes is a fault of ours and keeps its traceback.
    """


class Stopped(Exception):
    """The run was stopped from outside; what was done is saved."""


class WorkerLost(Exception):
    """Another of several workers does not answer any more; what was saved last is there."""


def nearest(name: str, known: Iterable[str]) -> str:
    """Return `` Did you mean 'x'?`` for the known name closest to `name`, or an empty string."""
    matches = difflib.get_close_matches(str(name), list(known), n=1)
    return f" Did you mean {matches[0]!r}?" if matches else ""


def one_line(error: BaseException) -> str:
    """Return what another library's error says, as one short line of printable characters.

    Such errors quote the file that was read, which can hold anything, a terminal's commands too.
    """
    line = " ".join(str(error).split()) or type(error).__name__
    return "".join(c if c.isprintable() else "?" for c in line[:300])
