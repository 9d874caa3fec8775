"""Files of `torch.save`, read into NumPy without PyTorch: tensors only, no code."""

from __future__ import annotations

import functools
import io
import math
import mmap
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from rnascl_keras.errors import UserError, one_line
from rnascl_keras.teachers.published.state_dict import state_dict
from rnascl_keras.teachers.published.torch_pickle import STORAGES, ForeignClass, load_pickle

MAGIC = 0x1950A86A20F9469CFC6C  # the first object in a file of PyTorch before 1.6
PROTOCOL = 1001


def read_torch_file(path: Path) -> dict[str, np.ndarray]:
    """Read the state_dict in a file written by `torch.save`, in the zip or in the older format.

    The state_dict is the file's object itself or lies in it under one of `state_dict.HOLDERS`. What
    is not a tensor is left out.

    Args:
        path: the file.

    Returns:
        float32 arrays by name.

    Raises:
        UserError: not such a file, cut short, without a state_dict or with several, or with objects
            whose loading would run code.
    """
    try:
        with open(path, "rb") as file:
            is_zip = file.read(2) == b"PK"
        return _read_zip(path) if is_zip else _read_legacy(path)
    except UserError:
        raise
    except ForeignClass as error:
        raise UserError(
            f"{path} holds an object of {str(error)[:100]!r} and loading it would run that code, "
            "so it is refused; where you trust the file, save the weights alone with PyTorch: "
            "torch.save(model.state_dict(), 'weights.pth')."
        ) from error
    except Exception as error:  # a spoiled pickle can raise anything
        reason = one_line(error)
        raise UserError(
            f"{path} cannot be read as a file of torch.save ({reason}): it is of another kind, cut "
            "short or damaged."
        ) from error


def _read_zip(path: Path) -> dict[str, np.ndarray]:
    with zipfile.ZipFile(path) as archive:
        for member in archive.infolist():
            if member.compress_type != zipfile.ZIP_STORED:
                raise ValueError(f"{member.filename} is compressed")
        if sum(member.file_size for member in archive.infolist()) > path.stat().st_size:
            raise ValueError("its parts lie in each other: they are longer than it is")
        (root,) = {n[: -len("data.pkl")] for n in archive.namelist() if n.endswith("data.pkl")}
        order = root + "byteorder"
        if order in archive.namelist() and archive.read(order) != b"little":
            raise ValueError("its numbers are big-endian")
        content, _ = load_pickle(io.BytesIO(archive.read(root + "data.pkl")))
        return _arrays(content, path, lambda key: archive.read(f"{root}data/{key}"))


def _read_legacy(path: Path) -> dict[str, np.ndarray]:
    """Read four pickles (magic number, protocol, system, object), the list of the storages' keys,
    and each storage: its length, its numbers."""
    with open(path, "rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        if load_pickle(data)[0] != MAGIC or load_pickle(data)[0] != PROTOCOL:
            raise ValueError("no PyTorch magic number")
        system, _ = load_pickle(data)
        if not system["little_endian"]:
            raise ValueError("its numbers are big-endian")
        content, storages = load_pickle(data)
        places = {}
        for key in load_pickle(data)[0]:
            length = int.from_bytes(data.read(8), "little")
            size = length * np.dtype(STORAGES[storages[key].kind]).itemsize
            places[key] = slice(data.tell(), data.tell() + size)
            data.seek(size, io.SEEK_CUR)
        return _arrays(content, path, lambda key: data[places[key]])


def _arrays(content: Any, path: Path, read: Callable[[str], bytes]) -> dict[str, np.ndarray]:
    """Return the state_dict's arrays; `read` gives a storage's bytes by its key, each read once
    however many tensors lie in it."""
    read = functools.cache(read)
    state = state_dict(content, path)
    claimed = sum(math.prod(tensor.size) for tensor in state.values())
    if claimed > path.stat().st_size:
        raise ValueError(f"its tensors claim {claimed} numbers, more than it has bytes")
    return {name: tensor.array(read(tensor.storage.key)) for name, tensor in state.items()}
