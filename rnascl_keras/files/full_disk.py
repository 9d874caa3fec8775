"""A full disk, whoever notices it, told in one line."""

from __future__ import annotations

import errno
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from rnascl_keras.errors import UserError
from rnascl_keras.units import size

FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
RESUMES = "it goes on from what was saved last"


def lack_of_room(error: BaseException | None) -> str | None:
    """Return the system's words for the full disk, quota or file behind `error`; None for another.

    Python's own writes have the number; TensorFlow, which writes by itself, has but the words.
    """
    while error is not None:
        for code in FULL:
            if getattr(error, "errno", None) == code or os.strerror(code) in str(error):
                return os.strerror(code)
        error = error.__cause__ or error.__context__
    return None


@contextmanager
def reporting_full_disk(folder: Path, doing: str = "", then: str = RESUMES) -> Iterator[None]:
    """Raise UserError where what is done inside fails for a full disk.

    Args:
        folder: where it writes; the system's folder for temporary files is looked at too.
        doing: what the message starts with.
        then: what the same command does once there is room.
    """
    try:
        yield
    except UserError:
        raise
    except Exception as error:
        if (reason := lack_of_room(error)) is None:
            raise
        fullest = min((Path(folder), Path(tempfile.gettempdir())), key=_free)
        raise UserError(
            f"{doing and doing + ': '}{fullest} cannot be written to ({reason}, "
            f"{size(_free(fullest))} free); make room and give the same command: {then}."
        ) from error


def check_room(folder: Path, needed: int, doing: str) -> None:
    """Raise UserError where `folder`, which is made, has not `needed` bytes free."""
    Path(folder).mkdir(parents=True, exist_ok=True)
    if needed > (free := _free(folder)):
        raise UserError(
            f"{doing} needs {size(needed)} in {folder}, but only {size(free)} are free there; make "
            f"room and give the same command: {RESUMES}."
        )


def _free(folder: Path) -> int:
    return shutil.disk_usage(folder).free
