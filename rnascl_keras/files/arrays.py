"""Arrays in `.npz` files from anywhere: their sizes are looked at before they are read."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from rnascl_keras.errors import UserError
from rnascl_keras.hardware import memory
from rnascl_keras.units import size

EXPANSION, SMALL = 100, 2**28
"""As many times a file's bytes, and these bytes more, may be unpacked: pictures become some tens of
times smaller at the most, nothing but zeros a thousand times."""


def read_arrays(path: Path, names: Sequence[str] | None = None) -> dict[str, np.ndarray]:
    """Read arrays of numbers and texts by name; no objects, which could be anything.

    Args:
        path: of the file.
        names: those that are read where they are there; None: all.

    Raises:
        UserError: there is no such file, it is damaged, of another kind, larger than the memory, or
            far larger than what it is packed into.
    """
    if Path(path).exists() and not Path(path).is_file():  # a pipe could be waited for for ever
        raise UserError(f"{path} is no regular file; give an .npz file.")
    try:
        with np.load(path, allow_pickle=False) as file:
            found = [name for name in (file.files if names is None else names) if name in file]
            _check_sizes(path, file, found)
            return {name: file[name] for name in found}
    except UserError:
        raise
    except MemoryError as error:
        raise UserError(f"{path} does not fit into memory; give less in one file.") from error
    except Exception as error:  # whatever zipfile, zlib and NumPy make of a damaged or hostile file
        reason = getattr(error, "strerror", None) or "it is not a readable .npz of plain arrays"
        raise UserError(f"{path} cannot be read: {reason}.") from error


def array_names(path: Path) -> list[str]:
    """Return what the arrays of a file that `read_arrays` has read are called."""
    with np.load(path, allow_pickle=False) as file:
        return list(file.files)


def _check_sizes(path: Path, file: np.lib.npyio.NpzFile, names: Sequence[str]) -> None:
    """Raise UserError where the arrays say that they take most of the memory, or more than a file
    of this size holds unless it means harm, before any is read.

    Raises:
        ValueError, KeyError: an entry is no array.
    """
    total, archive = 0, file.zip
    if archive is None:
        raise ValueError("it is closed")
    for name in names:
        with archive.open(f"{name}.npy") as member:
            read = np.lib.format.read_magic(member)
            header = np.lib.format.read_array_header_1_0
            if read != (1, 0):
                header = np.lib.format.read_array_header_2_0
            shape, _, dtype = header(member)
            total += math.prod(shape) * dtype.itemsize
    if total > memory() / 2:
        raise UserError(
            f"{path} says that it holds {size(total)} of arrays, more than half of this machine's "
            "memory; give less in one file."
        )
    holds = Path(path).stat().st_size
    if total > EXPANSION * holds + SMALL:
        raise UserError(
            f"{path} holds {size(holds)}, and says that it unpacks to {size(total)}; pictures and "
            "weights do not shrink so much. Save it without compression if it is your own."
        )
