"""One run at a time in a work folder."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from filelock import FileLock, Timeout

from rnascl_keras.errors import UserError

PATIENCE = 0.2
"""Seconds to try for: whoever lets go removes the file, which may be between our two calls."""


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold the lock file `path`; it is let go when this process ends, however that comes about.

    Who holds it stands in a file beside, since some systems let nobody read a file that is locked.

    Raises:
        UserError: another process holds it, or the file system knows no locks.
    """
    lock, note = FileLock(path), _note(path)
    _take(lock, path)
    try:
        note.write_text(f"process {os.getpid()} on {socket.gethostname()}", encoding="utf-8")
        yield
    finally:
        for file in (note, path):  # while it is held: so nobody else's file is removed
            with suppress(OSError):  # some systems let no open file go, and remove it as they close
                file.unlink()
        lock.release()


def _take(lock: FileLock, path: Path) -> None:
    try:
        lock.acquire(timeout=PATIENCE, poll_interval=PATIENCE / 4)
    except Timeout as error:
        raise UserError(
            f"{_owner(path)} is at work in {path.parent.parent}; wait for its end, or choose "
            "another folder with --workdir."
        ) from error
    except (OSError, NotImplementedError) as error:
        raise UserError(
            f"{path} cannot be locked ({getattr(error, 'strerror', None) or error}), so two runs "
            "could spoil one another's files; choose another folder with --workdir."
        ) from error


def _owner(path: Path) -> str:
    """Return who holds a lock, as far as it says so."""
    with suppress(OSError, ValueError):
        return _note(path).read_text(encoding="utf-8") or "another process"
    return "another process"


def _note(path: Path) -> Path:
    return path.with_name(f"{path.name}_holder")
