"""Files that are whole or absent: written beside, synced, renamed."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import secrets
import shutil
import stat
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rnascl_keras.errors import UserError

if TYPE_CHECKING:
    from rnascl_keras.files.shape import Shape

LONGEST_ENDING = 32
"""Characters of a name's ending that a part has too; a file's own name may be as long as can be."""


@contextmanager
def written_beside(path: str | Path) -> Iterator[Path]:
    """Give a path beside `path` to write to; then sync what is there and rename it to `path`.

    A reader sees the old file or the whole new one, never a part, and after a power failure too.
    Where writing fails, the old file stays and the part is removed. A link stays one, and what it
    leads to is written; a pipe or a terminal gets the content when it is whole.

    Args:
        path: of the file. The path beside has its ending, and is there, empty.

    Raises:
        OSError: it cannot be written.
    """
    path = Path(path)
    if is_stream(path):
        with tempfile.TemporaryDirectory() as folder:
            beside = Path(folder) / f"part{_ending(path)}"
            yield beside
            with open(path, "wb") as stream, open(beside, "rb") as content:
                shutil.copyfileobj(content, stream)
        return
    target = Path(os.path.realpath(path))
    target.parent.mkdir(parents=True, exist_ok=True)
    for left in parts_of(target):
        with suppress(OSError):
            left.unlink()
    beside = _new_part(target)
    try:
        yield beside
        publish(beside, target)
    except BaseException:
        beside.unlink(missing_ok=True)
        raise


def parts_of(path: Path) -> list[Path]:
    """Return what processes that were killed while they wrote `path` have left beside it.

    Nobody else's files are called so: the names have a hash of the file's own.
    """
    return sorted(path.parent.glob(f"{_part_prefix(path)}*"))


def is_stream(path: Path) -> bool:
    """Return whether what is at `path` takes a file's content as it comes: a pipe or a terminal.

    Raises:
        OSError: it is there and takes none, such as a folder or a disk, or its name is too long.
    """
    try:
        kind = path.stat().st_mode
    except FileNotFoundError:
        return False
    if stat.S_ISDIR(kind):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
    if stat.S_ISFIFO(kind) or stat.S_ISCHR(kind):
        return True
    if not stat.S_ISREG(kind):
        raise OSError(errno.EINVAL, "it is no regular file")
    place = path.parent.resolve().as_posix()
    if place == "/dev" or place.startswith("/proc/"):  # such as /dev/stdout
        raise OSError(errno.EINVAL, "it stands for a file that is open; give that file's own name")
    return False


def _new_part(path: Path) -> Path:
    """Make an empty file of a new name beside `path`, with the rights that files here have."""
    while True:
        part = path.with_name(f"{_part_prefix(path)}{secrets.token_hex(4)}{_ending(path)}")
        with suppress(FileExistsError):
            os.close(os.open(part, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o666))
            return part


def _part_prefix(path: Path) -> str:
    return f"part_{hashlib.sha256(os.fsencode(path.name)).hexdigest()[:8]}_"


def _ending(path: Path) -> str:
    """Return what writers look at, such as ``.weights.h5``."""
    ending = "".join(path.suffixes[-2:])
    return ending if len(ending) <= LONGEST_ENDING else ""


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
        if is_stream(path):
            if not os.access(path, os.W_OK):
                raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
            return
        target = Path(os.path.realpath(path))
        target.parent.mkdir(parents=True, exist_ok=True)
        _new_part(target).unlink()  # its name may be too long
        with tempfile.TemporaryFile(dir=target.parent, buffering=0) as file:
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
