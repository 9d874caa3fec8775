"""How much is told of work under way: bars where somebody watches, lines, or nothing."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from enum import Enum
from typing import IO, Any

from tqdm import tqdm


class Telling(Enum):
    """How much is told."""

    BARS = "bars"
    LINES = "lines"
    NOTHING = "nothing"


_telling = Telling.BARS


@contextmanager
def telling(how_much: Telling) -> Iterator[None]:
    """Tell that much, in this process, of what is done inside."""
    global _telling
    before, _telling = _telling, how_much
    try:
        yield
    finally:
        _telling = before


def is_quiet() -> bool:
    """Return whether nothing is told but results and errors."""
    return _telling is Telling.NOTHING


def shows_bars(stream: IO[str]) -> bool:
    """Return whether bars are drawn on `stream`: on a terminal or in a notebook, never in a file,
    where each of their thousand states would be a line."""
    return _telling is Telling.BARS and (stream.isatty() or "ipykernel" in sys.modules)


def progress_bar(*args: Any, wanted: bool = True, **settings: Any) -> tqdm:
    """Return tqdm's bar on standard error, which draws nothing where none is `wanted` or shown.

    Args:
        args, settings: tqdm's.
        wanted: whether the caller wants one.
    """
    return tqdm(*args, disable=not (wanted and shows_bars(sys.stderr)), **settings)


def fit_verbosity() -> int:
    """Return Keras' `verbose` of a training: a bar on standard output, a line for each epoch, or
    nothing."""
    if is_quiet():
        return 0
    return 1 if shows_bars(sys.stdout) else 2
