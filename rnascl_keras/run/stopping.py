"""A cluster's notice to stop, SIGTERM: finish the step, save, exit with 75."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

from rnascl_keras.errors import Stopped

EXIT_CODE = 75
"""EX_TEMPFAIL of sysexits.h: start the same command again, it goes on."""


class StopRequest:
    """Whether this training is to stop.

    Args:
        any_worker: whether one of several workers has been asked, from whether this one has; all of
            them then stop after the same step.
    """

    def __init__(self, any_worker: Callable[[bool], bool] = bool) -> None:
        self._any_worker = any_worker
        self._noted = False

    def note(self, *_: int | FrameType | None) -> None:
        """Take note of the request; a signal handler."""
        self._noted = True

    def is_requested(self) -> bool:
        """Return whether to stop now."""
        return self._any_worker(self._noted)


@contextmanager
def stopped_by_sigterm(handler: Callable | None = None) -> Iterator[None]:
    """Call `handler` on SIGTERM; by default raise `Stopped` where the process just is.

    Outside of the main thread, which alone can have handlers, SIGTERM does what it did before.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGTERM, handler or _stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _stop(*_: int | FrameType | None) -> None:
    raise Stopped
