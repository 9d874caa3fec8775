"""A folder of images: `train/<class>/*` beside `val`, `validation` or `test`."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from rnascl_keras.data.image_data import ImageData
from rnascl_keras.data.image_files import check_images, shown_path
from rnascl_keras.data.looked_over import measured_whole
from rnascl_keras.data.order import stratified_order
from rnascl_keras.data.pixels import FilePixels
from rnascl_keras.errors import UserError
from rnascl_keras.units import counted, first_few

TRAIN_SPLIT = "train"
TEST_SPLITS = ("val", "validation", "test")
SUFFIXES = (".jpg", ".jpeg", ".png")

Say = Callable[[str], object]


def no_one(line: str) -> None:
    """Be told something, and do nothing with it."""


def is_image_folder(path: Path) -> bool:
    """Return whether `path` holds a folder named like a split."""
    return any((path / split).is_dir() for split in (TRAIN_SPLIT, *TEST_SPLITS))


def is_class_folder(path: Path) -> bool:
    """Return whether `path` holds folders of images, one a class, and none named like a split."""
    if is_image_folder(path) or not path.is_dir():
        return False
    seen = (entry for name in _folders(path) for entry in _entries(path / name))
    return any(entry.name.lower().endswith(SUFFIXES) for entry in seen)


def load_unsplit(
    path: Path,
    image_size: int | None,
    class_list: str | os.PathLike[str] | None,
    held_out: float,
    say: Say = no_one,
) -> tuple[ImageData, ImageData]:
    """Return the training and the test split of a folder that has none: `<class>/*`.

    Args:
        path, image_size, class_list, say: as of `load_folder`.
        held_out: share of the images to test on, about the same of each class, and always the same
            for the same files; nothing is moved.

    Raises:
        UserError: as `load_folder`, or the folder has splits.
    """
    if is_image_folder(path):
        raise UserError(
            f"held_out={held_out:g}: {path} has {TRAIN_SPLIT}/ or a folder to test on; leave "
            "held_out out."
        )
    names = _class_names(path, class_list)
    _say_order(names, say)
    data = _load_split(path, names, image_size, say)
    return data.split_last(max(1, round(held_out * len(data))))


def load_folder(
    path: Path, image_size: int | None, class_list: str | os.PathLike[str] | None, say: Say = no_one
) -> tuple[ImageData, ImageData]:
    """Return the training and the test split.

    The classes are the folders in `train`, sorted by name. Every split comes in a fixed
    stratified order, so that its first n images are of all classes.

    Args:
        path: the folder.
        image_size: height and width the images are scaled to.
        class_list: a text file of class folders to use, one a line; None for all.
        say: is told which files are left out.

    Raises:
        UserError: a split or an image is missing or unreadable, or a class of the list has none.
    """
    train_folder = path / TRAIN_SPLIT
    if not train_folder.is_dir():
        raise UserError(f"{path} has no folder {TRAIN_SPLIT!r}; expected train/<class>/*.jpg.")
    test_folder = _test_folder(path, say)
    names = _class_names(train_folder, class_list)
    _say_order(names, say)
    if class_list is None:
        _say_other_classes(test_folder, names, say)
    return (
        _load_split(train_folder, names, image_size, say),
        _load_split(test_folder, names, image_size, say),
    )


def load_test_folder(path: Path, image_size: int | None, say: Say = no_one) -> ImageData:
    """Return the test split, or all of a folder of `<class>/*`; the classes are those of `train`
    where that is there too. One of them may have no image.

    Raises:
        UserError: as `load_folder`.
    """
    if is_class_folder(path):
        test_folder = path
        say(measured_whole(shown_path(path), "folder of images to test on"))
    else:
        test_folder = _test_folder(path, say)
    train_folder = path / TRAIN_SPLIT
    names = _class_names(train_folder if train_folder.is_dir() else test_folder, None)
    _say_order(names, say)
    _say_other_classes(test_folder, names, say)
    return _load_split(test_folder, names, image_size, say, may_be_empty=True)


def images_within(
    path: Path, class_list: str | os.PathLike[str] | None
) -> Iterator[tuple[str, int]]:
    """Yield what `load_folder`, `load_unsplit` or `load_test_folder` reads: the images' paths
    within `path`, and their sizes.

    Raises:
        UserError: as these.
    """
    splits = [path]
    if is_image_folder(path):
        splits = [split for split in (path / TRAIN_SPLIT, _test_folder(path)) if split.is_dir()]
    names = _class_names(splits[0], class_list)
    for split in splits:
        for name in filter(lambda name: (split / name).is_dir(), names):
            with _told():
                for entry in _entries(split / name):
                    if entry.name.lower().endswith(SUFFIXES) and entry.is_file():
                        where = os.path.join(os.path.relpath(split, path), name, entry.name)
                        yield where, entry.stat().st_size


def what_is_in(place: Path) -> str:
    """Return a sentence on what a folder holds instead, "" where it is none."""
    if not place.is_dir():
        return " There is no such folder."
    names = sorted(entry.name for entry in _entries(place))
    few = first_few([shown_path(name) for name in names])
    return f" It holds {few or 'nothing'}."


def _test_folder(path: Path, say: Say = no_one) -> Path:
    """Return the first folder to test on, and say which are not read."""
    found = [split for split in TEST_SPLITS if (path / split).is_dir()]
    for other in found[1:]:
        say(f"data: {shown_path(path)} is tested on {found[0]}/; {other}/ is not read")
    if found:
        return path / found[0]
    raise UserError(f"{path} has none of the folders {', '.join(TEST_SPLITS)}; one is expected.")


def _say_other_classes(split: Path, names: tuple[str, ...], say: Say) -> None:
    """Say which folders are left out since they are no class that training knows."""
    if others := [name for name in _folders(split) if name not in names]:
        few = first_few([shown_path(name) for name in others])
        say(f"{split}: {few} left out, no class of {TRAIN_SPLIT}")


def _say_order(names: tuple[str, ...], say: Say) -> None:
    """Say how classes are numbered whose names are numbers in another order."""
    if all(name.isdecimal() for name in names) and list(names) != sorted(names, key=int):
        say(
            f"data: the classes are numbered by their names as text, {first_few(names)}, as Keras "
            "and PyTorch do; to have them in the order of the numbers name them 00, 01, and so on"
        )


def _class_names(split: Path, class_list: str | os.PathLike[str] | None) -> tuple[str, ...]:
    found = _folders(split)
    if not found:
        raise UserError(f"{split} has no class folders; expected {split.name}/<class>/*.jpg.")
    if class_list is None:
        return tuple(found)
    try:
        listed = Path(class_list).read_text(encoding="utf-8").split("\n")
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"the class list {class_list} cannot be read: {error}.") from error
    wanted = {line.strip() for line in listed if line.strip()}
    missing = sorted(wanted - set(found))
    if missing or not wanted:
        raise UserError(
            f"{len(missing)} of the {len(wanted)} classes of {class_list} ({first_few(missing)}) "
            f"have no folder in {split} ({first_few(found)}); give the list of this data "
            "set's classes."
        )
    return tuple(name for name in found if name in wanted)


def _load_split(
    split: Path,
    names: tuple[str, ...],
    image_size: int | None,
    say: Say,
    *,
    may_be_empty: bool = False,
) -> ImageData:
    if image_size is None or image_size < 1:
        raise UserError(
            f"image_size={image_size}: images in {split} may have any size; give the height and "
            "width, in pixels, to scale them to."
        )
    paths: list[str] = []
    labels: list[int] = []
    skipped: Counter[str] = Counter()
    for label, name in enumerate(names):
        files = _images(split / name, skipped)
        if not files and not may_be_empty:
            raise UserError(_no_image(f"the class folder {split / name}"))
        paths.extend(files)
        labels.extend([label] * len(files))
    if skipped:
        kinds = ", ".join(f"{count} {kind}" for kind, count in skipped.most_common())
        files = counted(skipped.total(), "file")
        say(f"{split}: {files} left out, no JPEG or PNG: {kinds}")
    if not paths:
        raise UserError(_no_image(str(split)))
    check_images(paths)
    order = stratified_order(np.array(labels))
    pixels = FilePixels(np.array(paths)[order], image_size)
    return ImageData(pixels, np.array(labels)[order], names)


def _images(class_folder: Path, skipped: Counter[str]) -> list[str]:
    """Return the images' paths, and count in `skipped` by suffix what else is there."""
    files = []
    if class_folder.is_dir():
        seen = _entries(class_folder)
        files = sorted(e.path for e in seen if e.name.lower().endswith(SUFFIXES))
        others = [e.name for e in seen if not e.name.lower().endswith(SUFFIXES)]
        skipped.update(
            shown_path(Path(name).suffix.lower() or "without a suffix") for name in others
        )
    return files


def _no_image(place: str) -> str:
    kinds = ", ".join("*" + suffix for suffix in SUFFIXES)
    return f"{place} has no image; expected at least one of {kinds}."


def _folders(path: Path) -> list[str]:
    with _told():  # a link that leads to itself is neither a folder nor none
        return sorted(entry.name for entry in _entries(path) if entry.is_dir())


def _entries(folder: Path) -> list[os.DirEntry[str]]:
    """Return what lies in a folder, without what is hidden.

    Raises:
        UserError: it cannot be listed.
    """
    with _told():
        return [entry for entry in os.scandir(folder) if not entry.name.startswith(".")]


@contextmanager
def _told() -> Iterator[None]:
    """Name what of a folder cannot be read."""
    try:
        yield
    except OSError as error:
        place = shown_path(error.filename or "the folder")
        raise UserError(f"{place} cannot be read: {error.strerror}.") from error
