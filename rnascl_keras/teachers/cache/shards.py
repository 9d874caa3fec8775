"""The files of a cache: a header that says what a file holds, then a row for each image.

The header is one line of JSON, filled up with blanks to `HEADER_BYTES`; the rows are float16,
little-endian: each logit's distance to the largest, the largest itself, the attention maps, and
where they are kept the input gradients. A shard is whole or absent.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from rnascl_keras.files.hashes import content_hash

FORMAT = "rnascl-keras teacher cache 2"
WITHOUT_LARGEST = "rnascl-keras teacher cache 1"
"""Of older caches, which are read as they are: their rows lack the largest logit."""
SUFFIX = ".shard"
HEADER_BYTES = 1024
SHARD_BYTES = 32 * 2**20
VALUE = np.dtype("<f2")
NAMED_AT_MOST = 3

MISSING = "missing"
OTHER = "made with other settings"
DAMAGED = "damaged or cut short"


@dataclass(frozen=True)
class Shard:
    """What the teacher says on a block of images, all in the same view.

    Attributes:
        fingerprint: of the settings, see `CacheSettings.fingerprint`.
        view: from 0.
        first: number of the block's first image.
        length: images.
        row: values for each image.
        format: of the rows, `FORMAT` or `WITHOUT_LARGEST`.
    """

    fingerprint: str
    view: int
    first: int
    length: int
    row: int
    format: str = FORMAT

    @property
    def name(self) -> str:
        """The file's name."""
        return f"view{self.view:04d}_image{self.first:08d}{SUFFIX}"

    @property
    def bytes(self) -> int:
        """Length of the whole file."""
        return HEADER_BYTES + self.length * self.row * VALUE.itemsize

    def write(self, folder: Path, rows: Iterable[np.ndarray]) -> None:
        """Write the file beside, sync it, rename it.

        Args:
            folder: where to.
            rows: blocks of float16 (any number, row), `length` rows together.

        Raises:
            OSError: it cannot be written, e.g. the disk is full; no part is left.
        """
        path = folder / self.name
        beside = path.with_name(path.name + ".part")
        digest = hashlib.sha256()
        try:
            with open(beside, "wb") as file:
                file.write(b" " * HEADER_BYTES)
                for block in rows:
                    payload = np.ascontiguousarray(block, VALUE).tobytes()
                    digest.update(payload)
                    file.write(payload)
                file.seek(0)
                file.write(self._header(digest.hexdigest()))
                file.flush()
                os.fsync(file.fileno())
            os.replace(beside, path)
        except BaseException:
            beside.unlink(missing_ok=True)
            raise

    def fault(self, folder: Path) -> str | None:
        """Return what is wrong with the file, one of this module's words, or None.

        It is read to the end, unless `content_hash` knows what stands in it.
        """
        path = folder / self.name
        if not path.exists():
            return MISSING
        header = read_header(path)
        if header is None:
            return DAMAGED
        if {key: header.get(key) for key in self._content()} != self._content():
            return OTHER
        try:
            whole = path.stat().st_size == self.bytes and header.get("sha256") == content_hash(
                path, HEADER_BYTES
            )
        except OSError:
            whole = False
        return None if whole else DAMAGED

    def sha256(self, folder: Path) -> str | None:
        """Return the hash of the rows as the header has it; None where it has none."""
        return (read_header(folder / self.name) or {}).get("sha256")

    def open(self, folder: Path, sha256: str) -> np.ndarray:
        """Return the rows, float16 (length, row), mapped into memory: read when they are used.

        Args:
            folder: of the cache.
            sha256: of the rows, as the header had it when the cache was opened.

        Raises:
            OSError: it cannot be read.
            ValueError: it is another file by now, or is cut short.
        """
        with open(folder / self.name, "rb") as file:  # all is asked of one file, whatever comes
            header = _parsed(file.read(HEADER_BYTES)) or {}
            was = {**self._content(), "sha256": sha256}
            if {key: header.get(key) for key in was} != was:
                raise ValueError("it holds something else than when the cache was opened")
            if os.fstat(file.fileno()).st_size != self.bytes:
                raise ValueError("it is cut short, or longer than it was")
            shape = (self.length, self.row)
            return np.memmap(file, VALUE, "r", offset=HEADER_BYTES, shape=shape)

    def _content(self) -> dict[str, Any]:
        return asdict(self)

    def _header(self, sha256: str) -> bytes:
        text = json.dumps({**self._content(), "sha256": sha256})
        return text.ljust(HEADER_BYTES - 1).encode() + b"\n"


def plan(
    fingerprint: str, views: int, images: int, row: int, length: int, format: str = FORMAT
) -> list[Shard]:
    """Return the shards of a cache, view by view.

    Args:
        fingerprint: of the settings.
        views, images: of the cache.
        row: values for each image and view.
        length: images in a shard; a view's last may have fewer.
        format: of the rows.
    """
    return [
        Shard(fingerprint, view, first, min(length, images - first), row, format)
        for view in range(views)
        for first in range(0, images, length)
    ]


def images_per_shard(row: int) -> int:
    """Return how many images of `row` values make up a shard."""
    return max(1, SHARD_BYTES // (row * VALUE.itemsize))


def listed(names: Sequence[str]) -> str:
    """Return a few of the names, and how many more there are."""
    more = len(names) - NAMED_AT_MOST
    return ", ".join(names[:NAMED_AT_MOST]) + (f" and {more} more" if more > 0 else "")


def read_header(path: Path) -> dict[str, Any] | None:
    """Return what a shard's header says, or None where there is none."""
    try:
        with open(path, "rb") as file:
            return _parsed(file.read(HEADER_BYTES))
    except OSError:
        return None


def _parsed(header: bytes) -> dict[str, Any] | None:
    try:
        content = json.loads(header)
    except (ValueError, RecursionError):
        return None
    return content if isinstance(content, dict) else None


def shard_hash(path: Path) -> str:
    """Return a hash of all that stands in a shard, made of its header and of its rows' hash.

    The rows' is what `Shard.fault` asks for too, so that whoever asks both reads the file once.

    Raises:
        OSError: it cannot be read.
    """
    with open(path, "rb") as file:
        header = file.read(HEADER_BYTES)
    return hashlib.sha256(header + content_hash(path, HEADER_BYTES).encode()).hexdigest()
