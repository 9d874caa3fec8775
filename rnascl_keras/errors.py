"""What a user did wrong, said in one line, and the two ways a run ends from outside."""

from __future__ import annotations

import difflib
from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

Value = TypeVar("Value")
LONGEST = 300
"""Characters of another library's error that are shown."""


class UserError(ValueError):
    """A mistake in what the user gave: what was expected, what came, and what to do.

    The command line prints the message as it is and exits with code 2; everything else that
    escapes is a fault of ours and keeps its traceback.
    """


class ModelFailed(UserError):
    """A model of a stranger's file that ended its process, or never answered, on some images.

    Args:
        what: what happened, to which file.
        where: to which images it happened, the first and the last; None where that is not known.
    """

    def __init__(self, what: str, where: tuple[int, int] | None = None) -> None:
        self.what, self.where = what, where
        super().__init__(f"{what} (images {where[0]} to {where[1]})." if where else f"{what}.")

    def on(self, first: int, last: int) -> ModelFailed:
        """Return the same error, on images `first` to `last`."""
        return ModelFailed(self.what, (int(first), int(last)))


class Diverged(UserError):
    """A training's loss, weights or optimizer are not finite any more: NaN or infinite."""


class BelowTheGate(Exception):
    """An accuracy is below the least that was asked for; the command ends with exit code 1."""


class Stopped(BaseException):
    """The run was stopped from outside; what was done is saved.

    Like an interruption it is no `Exception`: it comes anywhere, also where a library, or who tries
    a stranger's file, takes each of those for a fault of the file.
    """


class NothingKept(BaseException):
    """A command that keeps nothing before its end was stopped before that; says by what."""


class WorkerLost(Exception):
    """Another of several workers does not answer any more; what was saved last is there."""


def look_up(what: str, name: str, known: Mapping[str, Value]) -> Value:
    """Return what is known under a name.

    Args:
        what: the name is of, e.g. ``attack``, or the option that gave it.
        name: as the user wrote it.
        known: by name.

    Raises:
        UserError: nothing is known under that name.
    """
    check_name(what, name, known)
    return known[name]


def check_name(what: str, name: str, known: Collection[str], expected: str | None = None) -> None:
    """Raise UserError unless `name` is among the known ones.

    ``attack 'pdg' is unknown; expected one of fgsm, pgd. Did you mean 'pgd'?``

    Args:
        what: the name is of, as in `look_up`.
        name: as the user wrote it.
        known: all names.
        expected: said in place of ``one of`` and all names.
    """
    if name not in known:
        expected = expected or f"one of {', '.join(known)}"
        raise UserError(f"{what} {name!r} is unknown; expected {expected}.{nearest(name, known)}")


@contextmanager
def naming(path: Path) -> Iterator[None]:
    """Begin the words of a UserError raised within by the file that it is about."""
    try:
        yield
    except UserError as error:
        raise UserError(f"{path}: {error}") from error


def nearest(name: str, known: Iterable[str]) -> str:
    """Return `` Did you mean 'x'?`` for the known name closest to `name`, or an empty string."""
    matches = difflib.get_close_matches(str(name), list(known), n=1)
    return f" Did you mean {matches[0]!r}?" if matches else ""


def one_line(error: BaseException) -> str:
    """Return what another library's error says, as one short line of printable characters.

    Such errors quote the file that was read, which can hold anything, a terminal's commands too.
    """
    line = " ".join(str(error).split()) or type(error).__name__
    if len(line) > LONGEST:
        # the cause often comes last
        line = f"{line[: LONGEST // 2]} ... {line[-LONGEST // 2 :]}"
    return printable(line)


def printable(text: str) -> str:
    """Return a text that came out of a file, without what would command a terminal."""
    return "".join(c if c.isprintable() else "?" for c in text)
