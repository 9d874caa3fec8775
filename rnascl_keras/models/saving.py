"""Keras models as files, whole or absent; one that cannot be read gives an error of one line."""

from __future__ import annotations

import re
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import keras

from rnascl_keras.errors import UserError, one_line, printable
from rnascl_keras.files.full_disk import check_room
from rnascl_keras.files.whole import written_beside
from rnascl_keras.models.bounds import check_description, check_sizes, limited_building
from rnascl_keras.models.same_bytes import copy_with_same_bytes

HDF5_HEADER = 4096
"""Bytes that a variable takes besides its values, at the most."""


def load_model(path: str | Path) -> keras.Model:
    """Load a `.keras` file.

    Args:
        path: of the file.

    Raises:
        UserError: it cannot be read, or is larger than this package's limits, see `bounds`.
    """
    path = Path(path)
    check_description(path)
    try:
        with limited_building(path):
            model: Any = keras.models.load_model(path, compile=False)
    except UserError:
        raise
    except Exception as error:
        reason = _needs_code(str(error)) or one_line(error)
        raise UserError(f"{path} cannot be loaded as a Keras model: {reason}") from error
    check_sizes(model, path)
    return model


def _needs_code(told: str) -> str | None:
    """Return what code Keras has told that a model needs, and what to do, or None."""
    own = re.search(r"Could not locate (?:class|function) '([^']+)'", told)
    if own is None and not ("Lambda" in told and "safe_mode" in told):
        return None
    code = f"{printable(own[1])}, which Keras has not" if own else "that of a Lambda layer"
    return (
        f"it needs code, {code}, and none is run that comes with a file. Load it in Python, where "
        "you trust it, and give the model to rnascl_keras.evaluate(model, images, labels)."
    )


def save_model(model: keras.Model, path: str | Path) -> None:
    """Write a `.keras` file, which is whole or absent.

    Older Keras reads it too, from 3.13 on; what `model.save` of 3.15 writes only 3.15 reads. Equal
    models give equal bytes, whenever and after whatever else they are saved, see `same_bytes`.

    Args:
        model: a built model.
        path: of the file, ending in `.keras`.
    """
    with written_beside(path) as beside, TemporaryDirectory(dir=beside.parent) as folder:
        made = Path(folder) / beside.name
        model.save(made)
        copy_with_same_bytes(made, beside)


def save_weights(model: keras.Model, path: Path) -> None:
    """Write a `.weights.h5` file, which is whole or absent.

    Raises:
        UserError: the disk has not the room; HDF5, which finds out by itself, would crash.
    """
    needed = sum(v.value.numpy().nbytes + HDF5_HEADER for v in model.variables)
    check_room(path.parent, needed, path.name)
    with written_beside(path) as beside:
        model.save_weights(beside)


def load_weights(model: keras.Model, path: Path) -> None:
    """Load the weights that a search has left.

    Raises:
        UserError: they cannot be read, or are of another model.
    """
    try:
        model.load_weights(path)
    except Exception as error:
        reason = one_line(error)
        raise UserError(f"{path} cannot be loaded ({reason}); search again.") from error
