"""Which bytes a model's file held when it was opened: those that its figures are of."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from rnascl_keras.errors import UserError
from rnascl_keras.files.hashes import content_hash

MOST_BYTES = 2**34
"""Of a file that is read for its hash: a stranger's may have any length, and what opens it refuses
far shorter ones."""


@dataclass(frozen=True)
class OpenedFile:
    """A model's file as it was opened.

    Attributes:
        path: where it lies.
        sha256: of the bytes that it held, in hexadecimal.
        bytes: how many these are.
    """

    path: Path
    sha256: str
    bytes: int

    def change(self) -> str | None:
        """Return in words that other bytes lie there by now, None where they do not."""
        try:
            if content_hash(self.path) == self.sha256:
                return None
            happened = "was replaced"
        except OSError as error:
            happened = f"cannot be read any more ({error.strerror})"
        return (
            f"{self.path} {happened} since it was opened: these figures are of the bytes that it "
            f"then held, sha256 {self.sha256}."
        )


@contextmanager
def opening(path: Path) -> Iterator[OpenedFile]:
    """Say what a file holds that is opened inside.

    It is read before and after, since what opens it takes a path and reads it by itself.

    Raises:
        UserError: it cannot be read, is far too large, or was changed meanwhile.
    """
    found = _read(path)
    yield found
    if _read(path) != found:
        raise UserError(f"{path} changed while it was opened; run this again when it is whole.")


def _read(path: Path) -> OpenedFile:
    try:
        size = path.stat().st_size
        if size > MOST_BYTES:
            raise UserError(
                f"{path} has {size:,} bytes; a model's file has at most {MOST_BYTES:,}."
            )
        return OpenedFile(path, content_hash(path), size)
    except OSError as error:
        raise UserError(f"{path} cannot be read: {error.strerror}.") from error
