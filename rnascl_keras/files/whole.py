"""Files that are whole or absent: written beside, synced, renamed."""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rnascl_keras.errors import UserError

if TYPE_CHECKING:
    from rnascl_keras.files.shape import Shape


@contextmanager
def written_beside(path: str | Path) -> Iterator[Path]:
    """Give a path beside `path` to write to; then sync what is there and rename it to `path`.

    A reader sees the old file or the whole new one, never a part, and after a power failure too.
    Where writing fails, the old file stays and the part is removed.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_name(f"part_{path.name}")
    try:
        yield beside
        publish(beside, path)
    except BaseException:
        beside.unlink(missing_ok=True)
        raise


def publish(made: Path, path: Path) -> None:
    """Rename the file or folder `made` to `path`, which after a power failure too is whole."""
    for part in (made, *made.rglob("*")):
        _sync(part)
    os.replace(made, path)
    _sync(path.parent)


def _sync(path: Path) -> None:
    """Have what is in a file or folder written to the disk.

    Windows opens no folders, and keeps their entries by itself; a file has to be open for writing.
    """
    if not hasattr(os, "O_DIRECTORY") and path.is_dir():
        return
    descriptor = os.open(path, os.O_RDONLY if hasattr(os, "O_DIRECTORY") else os.O_RDWR)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def atomic_write(path: Path, content: str | bytes) -> Path:
    """Write `content` to `path` by `written_beside`; return `path`."""
    with written_beside(path) as beside:
        beside.write_bytes(content.encode() if isinstance(content, str) else content)
    return Path(path)


def write_json(path: Path, content: dict[str, Any]) -> Path:
    """Write `content` as indented JSON, atomically."""
    return atomic_write(path, json.dumps(content, indent=2) + "\n")


def is_same_file(one: Path, other: Path) -> bool:
    """Return whether two paths lead to one file, which need not be there."""
    if one.exists() and other.exists():
        return one.samefile(other)
    return one.resolve() == other.resolve()


def check_writable(path: Path, read: Iterable[Path] = ()) -> None:
    """Raise UserError where the file `path` could not be written, or is one of those that are
    `read`, before the work that fills it."""
    path = Path(path)
    if any(is_same_file(path, Path(other)) for other in read):
        raise UserError(f"{path} is read too and would be lost; give another name to write to.")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.is_dir():
            raise IsADirectoryError(None, "Is a directory")
        with tempfile.TemporaryFile(dir=path.parent, buffering=0) as file:
            file.write(bytes(4096))  # an empty file fits on a full disk
    except OSError as error:
        raise UserError(f"{path} cannot be written ({error.strerror}).") from error


def read_json(path: Path, shape: Shape | None = None) -> dict[str, Any]:
    """Read a JSON object.

    Args:
        path: of the file.
        shape: what it has to hold; without, whatever it holds is taken.

    Raises:
        UserError: the file is missing, unreadable, truncated, not an object, or of another shape.
    """
    path = Path(path)
    try:
        content = json.loads(path.read_bytes())
    except OSError as error:
        raise UserError(f"{path} cannot be read: {error.strerror}.") from error
    except (ValueError, RecursionError) as error:
        raise UserError(
            f"{path} is not complete JSON ({error}); delete it and run its stage again."
        ) from error
    if not isinstance(content, dict):
        raise UserError(f"{path} holds a {type(content).__name__}; expected a JSON object.")
    if shape is not None:
        shape.check(path, content)
    return content


def sha256(path: Path) -> str:
    """Return the SHA-256 of a file's bytes, in hexadecimal."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
