"""Data sets by name, from TensorFlow Datasets."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import numpy as np

from rnascl_keras.data.folder import what_is_in
from rnascl_keras.data.image_data import ImageData
from rnascl_keras.data.pixels import ArrayPixels, check_whole_pixels
from rnascl_keras.errors import UserError, nearest

RETRIES = 4
"""After each, tfds waits twice as long: 3 seconds in all, where its own 10 take 200."""


def load_prepared(
    name: str, splits: tuple[str, ...], data_dir: str | os.PathLike[str] | None
) -> tuple[ImageData, ...]:
    """Read splits of a data set into memory as uint8, downloading it where it is missing.

    Args:
        name: what TensorFlow Datasets calls it, e.g. "cifar10".
        splits: their names.
        data_dir: the folder it lies in; TFDS_DATA_DIR, then tfds' own default, where None.

    Raises:
        UserError: not known, neither there nor to be downloaded, or not images of one size.
    """
    import tensorflow_datasets as tfds

    place = data_dir or os.environ.get("TFDS_DATA_DIR")
    place = None if place is None else os.path.expanduser(place)
    builder = _builder(name, place)
    info = builder.info
    names = _class_names(info, name)
    _prepare(builder, name)
    missing = [split for split in splits if split not in info.splits]
    if missing:
        raise UserError(
            f"{name} has no split {missing[0]!r}, only {', '.join(info.splits)}; expected a data "
            "set with train and test."
        )
    loaded = []
    for split in splits:
        images, labels = tfds.as_numpy(
            builder.as_dataset(split=split, as_supervised=True, batch_size=-1)
        )
        check_whole_pixels(images, f"{name}'s images")
        loaded.append(ImageData(ArrayPixels(images), np.asarray(labels), names))
    return tuple(loaded)


def prepared_names(place: Path) -> list[str]:
    """Return the data sets that lie ready in a folder of TensorFlow Datasets."""
    found = {p.relative_to(place).parts[0] for p in place.glob("*/**/dataset_info.json")}
    return sorted(found - {"downloads"})


def _builder(name: str, place: str | None) -> Any:
    import tensorflow_datasets as tfds

    try:
        builder = tfds.builder(name, data_dir=place)
    except tfds.core.DatasetNotFoundError as error:
        known = ["digits", *tfds.list_builders(with_community_datasets=False)]
        raise UserError(
            f"no data set {name!r}: expected digits, an .npz file, a folder with train/<class>, or "
            f"a name of TensorFlow Datasets.{nearest(name.lower(), known)}{_folder_here(name)}"
        ) from error
    except (ValueError, AssertionError) as error:  # no such configuration or version
        raise UserError(f"data set {name!r}: {_first_line(error)}") from error
    return builder


def _folder_here(name: str) -> str:
    """Return a sentence on a folder of that name, "" where there is none."""
    here = Path(name)
    return f" There is a folder {name}.{what_is_in(here)}" if here.is_dir() else ""


def _prepare(builder: Any, name: str) -> None:
    try:
        with _few_retries():
            builder.download_and_prepare()
    except Exception as error:  # network, disk, checksums, missing packages: all the user's to mend
        reason = _unreached(error) or _first_line(error)
        raise UserError(
            f"{name} is not prepared in {builder.data_dir} and could not be downloaded ({reason}). "
            f"Give the folder that holds {name}/ with --data-dir or TFDS_DATA_DIR."
        ) from error


def _unreached(error: Exception) -> str | None:
    """Return what to say where a server has not answered at all, of an error of `requests`."""
    request, response = (getattr(error, name, None) for name in ("request", "response"))
    if request is None or response is not None:
        return None
    return f"{urlsplit(request.url).hostname} cannot be reached"


@contextmanager
def _few_retries() -> Iterator[None]:
    """Let tfds give up soon where there is no network; it has no setting for that."""
    from tensorflow_datasets.core.download import downloader

    before = downloader.MAX_RETRIES
    downloader.MAX_RETRIES = RETRIES
    try:
        yield
    finally:
        downloader.MAX_RETRIES = before


def _class_names(info: Any, name: str) -> tuple[str, ...]:
    image, label = (info.supervised_keys or (None, None))[:2]
    features = dict(info.features.items())
    pixels = getattr(features.get(image), "np_dtype", None)
    shape = getattr(features.get(image), "shape", None)
    names = getattr(features.get(label), "names", None)
    if pixels != np.uint8 or shape is None or len(shape) != 3 or names is None:
        raise UserError(f"{name} is not a data set of 8-bit images with one class each.")
    if None in shape:
        raise UserError(
            f"the images of {name} differ in size, so they do not fit into memory as one array; "
            "give them as a folder with train/<class> and val/<class>."
        )
    return tuple(names)


def _first_line(error: Exception) -> str:
    lines = str(error).strip().splitlines()
    return f"{type(error).__name__}: {lines[0][:200]}" if lines else type(error).__name__
