"""Finding image files that are broken, or far too large, before an hour of training does."""

from __future__ import annotations

import os
import stat
import warnings
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from PIL import Image, UnidentifiedImageError

from rnascl_keras.errors import UserError, one_line, printable

KINDS = ("JPEG", "PNG")
MOST_PIXELS = 50_000_000
"""Of an image: decoded and scaled, it takes up to 15 bytes a pixel."""
MOST_DECODED = 20_000
"""Files that are decoded to check them, which takes some 0.5 ms each; of more, only the ends are
read."""
_NAMED = 20
_TAIL = 64
# How the last bytes of a whole file look; MPO is what Pillow calls a JPEG with further views in it.
_ENDS = {"JPEG": b"\xff\xd9", "MPO": b"\xff\xd9", "PNG": b"IEND"}


def check_images(paths: Sequence[str]) -> None:
    """Check that files are whole JPEGs or PNGs, whatever their names end with.

    Raises:
        UserError: some are not; all of them are named.
    """
    decode = len(paths) <= MOST_DECODED
    with ThreadPoolExecutor() as pool:
        complaints = [c for c in pool.map(lambda path: _complaint(path, decode), paths) if c]
    if complaints:
        shown = "; ".join(complaints[:_NAMED])
        more = f"; and {len(complaints) - _NAMED} more" if len(complaints) > _NAMED else ""
        count = f"{len(complaints)} of {len(paths)} images" if len(complaints) > 1 else "1 image"
        raise UserError(f"{count} cannot be used; replace or remove: {shown}{more}.")


def _complaint(path: str, decode: bool) -> str | None:
    """Return what is wrong with a file, None where nothing is."""
    shown = shown_path(path)
    try:
        # a pipe or a device could be read for ever
        if not stat.S_ISREG(os.stat(path).st_mode):
            return f"{shown} is no regular file"
        with warnings.catch_warnings(action="ignore"), Image.open(path, formats=KINDS) as image:
            return _complaint_about(image, shown, decode or not _has_end(path, str(image.format)))
    except UnidentifiedImageError:
        return f"{shown} is not an image; expected {' or '.join(KINDS)}"
    except Image.DecompressionBombError:
        return f"{shown} says it has far more than {MOST_PIXELS:,} pixels, the most that are read"
    except OSError as error:
        if error.strerror:
            return f"{shown} cannot be read: {error.strerror}"
        return f"{shown} is damaged or cut short: {one_line(error)}"
    except Exception as error:  # whatever else a decoder meets in a damaged file
        return f"{shown} is damaged or cut short: {one_line(error)}"


def _complaint_about(image: Image.Image, shown: str, decode: bool) -> str | None:
    width, height = image.size
    if width * height > MOST_PIXELS:
        return f"{shown} has {width} x {height} pixels; at most {MOST_PIXELS:,} are read"
    if decode:
        image.draft("RGB", (max(1, width // 8), max(1, height // 8)))
        image.load()
    return None


def _has_end(path: str, kind: str) -> bool:
    """Whether a file ends as a whole one does; one that does not may be whole, with other bytes
    after it."""
    with open(path, "rb") as file:
        file.seek(0, os.SEEK_END)
        file.seek(max(0, file.tell() - _TAIL))
        return _ENDS[kind] in file.read()


def shown_path(path: str | Path) -> str:
    """Return a path in printable characters, of a name in any bytes."""
    return printable(os.fsencode(path).decode(errors="replace"))
