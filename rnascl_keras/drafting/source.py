"""What `rnascl new` takes, and what is wrong with a place that it cannot take."""

from __future__ import annotations

import os
from pathlib import Path

from rnascl_keras.data.folder import SUFFIXES, is_class_folder, is_image_folder, what_is_in
from rnascl_keras.data.image_files import shown_path
from rnascl_keras.errors import UserError

TAKES = (
    "`rnascl new` takes a folder of <class>/*.jpg or *.png, or with train/ and val/ of these; an "
    ".npz with x and y; or the name of a data set such as cifar10"
)


def check_source(source: str, data_dir: str | os.PathLike[str] | None) -> None:
    """Raise UserError where `source` is a place on the disk that holds no labelled images.

    Args:
        source: a folder, an `.npz`, or the name of a data set.
        data_dir: where a folder of that name may lie, too.
    """
    place = Path(source).expanduser()
    places = [place] if data_dir is None else [place, Path(data_dir).expanduser() / source]
    if any(is_image_folder(one) or is_class_folder(one) for one in places):
        return
    if wrong := _wrong_with(source, place):
        raise UserError(f"{shown_path(source)} {wrong}; {TAKES}.")


def _wrong_with(source: str, place: Path) -> str | None:
    """Return what is wrong with a place, None where it can be a file or a name that is taken."""
    if place.is_file():
        return None if place.suffix == ".npz" else "is a file, but no .npz"
    if place.is_dir():
        return None if os.sep not in source and _names_data(source, place) else _held(place)
    is_place = place.is_absolute() or source.startswith(".") or source.endswith(os.sep)
    return "is not there" if is_place and place.suffix != ".npz" else None


def _held(folder: Path) -> str:
    entries = [entry for entry in os.scandir(folder) if not entry.name.startswith(".")]
    if any(entry.name.lower().endswith(SUFFIXES) for entry in entries):
        return "holds pictures, but no folder for each class"
    if any(entry.is_dir() for entry in entries):
        return f"has no picture in its folders.{what_is_in(folder)[:-1]}"
    return f"holds no folder for each class.{what_is_in(folder)[:-1]}"


def _names_data(name: str, folder: Path) -> bool:
    """Return whether a folder only happens to be called like a data set, or is one of these."""
    if name == "digits" or any(folder.glob("**/dataset_info.json")):
        return True
    import tensorflow_datasets as tfds

    return name in tfds.list_builders(with_community_datasets=False)
