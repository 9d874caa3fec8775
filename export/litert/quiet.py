"""Keeping what C++ libraries write to the terminal themselves from the user."""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Iterator

_ONE_AT_A_TIME = threading.RLock()


@contextlib.contextmanager
def quiet_libraries() -> Iterator[None]:
    """Send standard error to nowhere, whoever writes to it; errors are raised all the same."""
    with _ONE_AT_A_TIME:
        try:
            terminal = os.dup(2)
        except OSError:  # there is none
            yield
            return
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, 2)
        os.close(nowhere)
        try:
            yield
        finally:
            os.dup2(terminal, 2)
            os.close(terminal)
