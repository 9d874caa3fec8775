"""One run at a time in a work folder."""

from __future__ import annotations

import fcntl
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from rnascl_keras.errors import UserError


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold the lock file `path`; it is let go when this process ends, however that comes about.

    Raises:
        UserError: another process holds it.
    """
    file = _take(path)
    try:
        file.truncate(0)
        file.write(f"process {os.getpid()} on {socket.gethostname()}")
        file.flush()
        yield
    finally:
        path.unlink(missing_ok=True)
        file.close()


def _take(path: Path) -> IO[str]:
    while True:
        file = open(path, "a+")  # noqa: SIM115 - it stays open as long as the lock is held
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            file.seek(0)
            owner = file.read() or "another process"
            file.close()
            raise UserError(
                f"{owner} is at work in {path.parent.parent}; wait for its end, or choose another "
                "folder with --workdir."
            ) from error
        if _is_still(file, path):
            return file
        file.close()  # its owner removed it between our two calls


def _is_still(file: IO[str], path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(file.fileno()), os.stat(path))
    except FileNotFoundError:
        return False
