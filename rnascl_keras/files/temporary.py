"""Temporary files that a killed process leaves, and that the next one clears."""

from __future__ import annotations

import atexit
import functools
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from filelock import FileLock, Timeout

PREFIX = "rnascl_temporary_"
_LOCK = "lock"
_TRIES = 3


@contextmanager
def own_temporary_folder() -> Iterator[None]:
    """Have what is put among the temporary files meanwhile lie in a folder of this process's own.

    It is removed when this process ends; where it was killed, by the next one that comes here.
    TensorFlow writes Python files there, and removes them only where it ends by itself. Where there
    is no room for such a folder, they lie where they always did.
    """
    before = tempfile.tempdir
    folder = _own_folder()
    tempfile.tempdir = before if folder is None else str(folder)
    try:
        yield
    finally:
        tempfile.tempdir = before


@functools.cache
def _own_folder() -> Path | None:
    """Make the folder, once in a process, and hold its lock: others see by it who lives."""
    with suppress(OSError):
        _clear(Path(tempfile.gettempdir()))
        for _ in range(_TRIES):  # another process may clear it before it is locked
            folder = Path(tempfile.mkdtemp(prefix=PREFIX))
            lock = FileLock(folder / _LOCK)
            try:
                lock.acquire(timeout=0)
            except (OSError, Timeout, NotImplementedError):
                shutil.rmtree(folder, ignore_errors=True)
                continue
            atexit.register(_remove, folder, lock)
            return folder
    return None


def _clear(parent: Path) -> None:
    """Remove the folders of processes that are no more; others' and links stay."""
    for folder in parent.glob(f"{PREFIX}*"):
        with suppress(OSError, Timeout, NotImplementedError):
            if folder.is_symlink() or not _is_ours(folder) or not (folder / _LOCK).exists():
                continue
            with FileLock(folder / _LOCK).acquire(timeout=0) as lock:
                _remove(folder, lock)


def _is_ours(folder: Path) -> bool:
    return not hasattr(os, "getuid") or folder.lstat().st_uid == os.getuid()


def _remove(folder: Path, lock: FileLock) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    with suppress(OSError):
        lock.release()
    shutil.rmtree(folder, ignore_errors=True)  # some systems let no open file go
