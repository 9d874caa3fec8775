"""Hashes of plain values, and of files that are asked for again and again: a file is read once,
while it stays as it is."""

from __future__ import annotations

import hashlib
import json
import os
import time
from pathlib import Path
from typing import Any

SETTLED = 2 * 10**9
"""Nanoseconds: the coarsest step in which a file system counts the time of a change."""

_known: dict[tuple[int, ...], str] = {}


def digest(content: Any) -> str:
    """Return a short hash of plain values."""
    text = json.dumps(content, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def content_hash(path: Path, start: int = 0) -> str:
    """Return the SHA-256 of a file's bytes from `start` on, in hexadecimal.

    It is remembered as long as this process lives. Another device, inode or length, or another time
    of the last change of content or state, which nobody can set back, makes it be read anew. A file
    that has just been changed is not remembered, for another change within the same step of the
    file system's clock would not show. Unseen goes only what changes without being written, as on
    a failing disk: the next process reads all anew.

    Raises:
        OSError: it cannot be read.
    """
    with open(path, "rb") as file:  # opened before it is asked: a network file system looks then
        begin = time.time_ns()
        state = _state(file.fileno())
        if (found := _known.get((*state, start))) is not None:
            return found
        file.seek(start)
        found = hashlib.file_digest(file, "sha256").hexdigest()
        if begin - max(state[3:]) > SETTLED and _state(file.fileno()) == state:
            _known[*state, start] = found
        return found


def _state(descriptor: int) -> tuple[int, ...]:
    """Return what changes with an open file's content."""
    found = os.fstat(descriptor)
    return found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns
