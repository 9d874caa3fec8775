"""How long something takes, however many processes it takes to do it."""

from __future__ import annotations

import time
from contextlib import suppress
from pathlib import Path
from threading import Event, Thread
from types import TracebackType

from rnascl_keras.errors import UserError
from rnascl_keras.files.shape import Keys, Shape
from rnascl_keras.files.whole import read_json, write_json

INTERVAL = 20.0
"""Seconds after which the time so far is noted: a process that is killed takes along no more."""


class _Spent(Keys):
    signature: str
    seconds: float


SPENT = Shape(_Spent, "is not the time spent on what was begun", "delete it, and it counts anew")


class Clock:
    """Adds to what earlier processes have spent on the same work, and notes it for later ones.

    It is not asked of a saved state, for some work saves none: the cache is there in parts.

    Args:
        path: where the time is noted until `remove`; None: this process works alone.
        signature: of the work; what was spent on other work does not count.

    Raises:
        UserError: what is noted is no such time.
    """

    def __init__(self, path: Path | None = None, signature: str = "") -> None:
        self.path, self._signature = path, signature
        self._before = self._noted()
        self._begin = time.perf_counter()
        self._ended = Event()
        self._thread = Thread(target=self._note_regularly, daemon=True)

    @property
    def seconds(self) -> float:
        """The time spent so far, in all processes."""
        return self._before + time.perf_counter() - self._begin

    def __enter__(self) -> Clock:
        if self.path is not None:
            self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._ended.set()
        if self.path is None:
            return
        self._thread.join()
        if not isinstance(error, UserError):  # which changes no file
            self._note()

    def remove(self) -> None:
        """Forget the time, for the work is done."""
        if self.path is not None:
            self.path.unlink(missing_ok=True)

    def _noted(self) -> float:
        if self.path is None or not self.path.exists():
            return 0.0
        noted = read_json(self.path, SPENT)
        return noted["seconds"] if noted["signature"] == self._signature else 0.0

    def _note_regularly(self) -> None:
        while not self._ended.wait(INTERVAL):
            self._note()

    def _note(self) -> None:
        if self.path is not None:
            with suppress(OSError):  # of a full disk the work itself tells
                write_json(self.path, {"signature": self._signature, "seconds": self.seconds})
