"""Arrays that two processes see, in one file that both map into memory."""

from __future__ import annotations

import contextlib
import mmap
import os
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

_IN_MEMORY = Path("/dev/shm")
_ALIGNED = 64

Described = dict[str, Any]


class SharedArrays:
    """A file of arrays, which grows as they do.

    Args:
        path: of a file that another process has made; None: make one.

    Attributes:
        path: of the file; whoever made it removes it by `close`.
    """

    def __init__(self, path: str | None = None) -> None:
        self._owned = path is None
        if path is None:
            folder = _IN_MEMORY if _IN_MEMORY.is_dir() else None
            number, path = tempfile.mkstemp(prefix="rnascl_", dir=folder)
            os.close(number)
        self._file = open(path, "r+b")  # noqa: SIM115  closed by `close`
        self.path = path
        self._map: mmap.mmap | None = None

    def put(self, arrays: Sequence[np.ndarray]) -> list[Described]:
        """Write arrays in the place of all that was there; return how the other side finds them."""
        described, end = [], 0
        for array in arrays:
            entry = {"dtype": array.dtype.str, "shape": list(array.shape), "offset": end}
            described.append(entry)
            end += -(-array.nbytes // _ALIGNED) * _ALIGNED
        self._reach(end)
        for array, entry in zip(arrays, described, strict=True):
            np.copyto(self._view(entry), array)
        return described

    def take(self, described: Sequence[Described]) -> list[np.ndarray]:
        """Return copies of what the other side has put there."""
        end = max((entry["offset"] + _bytes(entry) for entry in described), default=0)
        self._reach(end)
        return [self._view(entry).copy() for entry in described]

    def hide(self) -> None:
        """Take the file's name away, once the other side has opened it: then nothing is left of it
        however both processes end. Some systems let no open file go; there it is removed later."""
        with contextlib.suppress(OSError):
            os.unlink(self.path)

    def close(self) -> None:
        """Give the file back, and remove it where it was made here."""
        if self._map is not None:
            self._map.close()
        self._file.close()
        if self._owned:
            self.hide()

    def _reach(self, end: int) -> None:
        """Map at least so many bytes of the file."""
        if self._map is not None and len(self._map) >= end:
            return
        if self._map is not None:
            self._map.close()
        self._file.seek(0, 2)
        size = max(end, self._file.tell(), mmap.ALLOCATIONGRANULARITY)
        self._file.truncate(size)
        self._map = mmap.mmap(self._file.fileno(), size)

    def _view(self, entry: Described) -> np.ndarray:
        count = int(np.prod(entry["shape"]))
        flat: Any = np.frombuffer(
            self._map or b"", np.dtype(entry["dtype"]), count, entry["offset"]
        )
        return flat.reshape(entry["shape"])


def _bytes(entry: Described) -> int:
    return int(np.prod(entry["shape"])) * np.dtype(entry["dtype"]).itemsize
