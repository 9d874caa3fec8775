"""From the name of a data set to its splits."""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from pathlib import Path

from rnascl_keras.data import digits, folder, npz, prepared
from rnascl_keras.data.image_data import ImageData
from rnascl_keras.data.image_files import shown_path
from rnascl_keras.data.looked_over import measured_whole, oddities
from rnascl_keras.data.order import lies_by_class, stratified_order
from rnascl_keras.errors import UserError


@dataclass(frozen=True)
class Splits:
    """The splits of a data set; `validation` is None where none was asked for."""

    train: ImageData
    validation: ImageData | None
    test: ImageData


FOLDERS = "A folder's images are given square and in colour; give others as an .npz."

ImageShape = tuple[int | None, int | None, int | None]
"""Height, width, channels; None where a model leaves one open."""


def load_data(
    source: str,
    *,
    data_dir: str | os.PathLike[str] | None = None,
    image_size: int | None = None,
    validation: int = 0,
    class_list: str | os.PathLike[str] | None = None,
    limit_train: int | None = None,
    held_out: float | None = None,
    say: folder.Say = folder.no_one,
) -> Splits:
    """Load a data set.

    Args:
        source: "digits" (scikit-learn's, 8 x 8 x 1); an `.npz` with `x`, `y` and optionally
            `x_test`, `y_test` (else a fixed stratified fifth is held out), or their other names
            (`npz.PAIRS`), mixed, always alike, where they lie class by class; a folder with
            `train/<class>/*` and one of `val`, `validation`, `test`; or a name that TensorFlow
            Datasets knows, such as "cifar10".
        data_dir: where TensorFlow Datasets keeps its data; the environment variable
            TFDS_DATA_DIR where it is None. A relative folder is looked for here too.
        image_size: height and width in pixels. A folder's images are scaled to it; for other
            sources it is only checked.
        validation: that many images from the end of the training split become `validation`.
        class_list: text file with the name of a class folder a line; the others are left out.
            Only for a folder.
        held_out: share of each class to test on, of a folder of `<class>/*` without splits.
        limit_train: use only this many training images, the first, after the validation images
            are split off.
        say: is told what is left out.

    Raises:
        UserError: not found, not readable, or not labelled images in the ranges asked for.
    """
    place = find_folder(source, data_dir, say, unsplit=held_out is not None)
    if held_out is not None and place is None:
        raise UserError(f"held_out splits a folder of <class>/*.jpg; {source!r} is not one.")
    if class_list is not None and place is None:
        raise UserError(f"class_list filters the classes of a folder; {source!r} is not one.")
    if place is not None and held_out is not None:
        train, test = folder.load_unsplit(place, image_size, class_list, held_out, say)
    elif place is not None:
        train, test = folder.load_folder(place, image_size, class_list, say)
    elif source == "digits":
        train, test = digits.load_digits()
    elif is_npz(source):
        train, test = npz.load_npz(Path(source))
    else:
        train, test = prepared.load_prepared(source, ("train", "test"), data_dir)
    if image_size is not None:
        wanted = (image_size, image_size, train.input_shape[2])
        _check_shape(train, wanted, source, "Leave out image_size, or change the images.")
    if place is not None or is_npz(source):
        for odd in oddities(train, test):
            say(f"data: {odd}")
    train, test = _mixed(train, "training", say), _mixed(test, "test", say)
    kept_back = None
    if validation:
        train, kept_back = train.split_last(validation)
    if limit_train is not None:
        train = train.take(min(limit_train, len(train)))
    return Splits(train, kept_back, test)


def load_test_data(
    data: str,
    *,
    data_dir: str | os.PathLike[str] | None = None,
    input_shape: ImageShape | None = None,
    say: folder.Say = folder.no_one,
) -> ImageData:
    """Load what a model is to be evaluated on.

    Args:
        data: as `source` of `load_data`; of the splits only the test split is read. Of an
            `.npz`, that is `x_test`, `y_test` where present, else `x`, `y`; a folder of
            `<class>/*` without splits is read whole.
        data_dir: as in `load_data`.
        input_shape: height, width and channels the model wants, None where it leaves one open.
            A folder's images are scaled to it; it settles the layout of an `.npz`; any other source
            must fit.
        say: as in `load_data`.

    Raises:
        UserError: as `load_data`, and images that do not fit `input_shape`.
    """
    place = find_folder(data, data_dir, say, unsplit=True)
    if place is not None and input_shape and input_shape[0] is None:
        raise UserError(
            "the model leaves the size of its images open, and those of a folder may have any: "
            "give them in one size, as an .npz."
        )
    if place is not None:
        test = folder.load_test_folder(place, input_shape[0] if input_shape else None, say)
    elif data == "digits":
        test = digits.load_digits()[1]
    elif is_npz(data):
        test = npz.load_test_npz(Path(data), input_shape)
    else:
        (test,) = prepared.load_prepared(data, ("test",), data_dir)
    if input_shape is not None:
        mend = FOLDERS if place is not None else "Give images of the model's size."
        _check_shape(test, input_shape, data, mend)
    if is_npz(data) and not npz.has_test_split(Path(data)):
        say(measured_whole(shown_path(data), "x_test"))
    return replace(_mixed(test, "test", say), origin=_origin(data, place))


def _mixed(data: ImageData, split: str, say: folder.Say) -> ImageData:
    """Return images whose beginnings and ends are samples of all, as a folder's are anyway."""
    if not lies_by_class(data.labels):
        return data
    say(
        f"data: the {split} images lie class by class; they are taken in a mixed order, always the "
        "same"
    )
    return data.in_order(stratified_order(data.labels))


def _origin(source: str, place: Path | None) -> str:
    """Return what a source was taken for, in words."""
    if place is not None:
        return f"the folder {shown_path(place)}"
    if source == "digits":
        return "scikit-learn's digits"
    return f"the file {source}" if is_npz(source) else f"TensorFlow Datasets' {source}"


def is_prepared(source: str, data_dir: str | os.PathLike[str] | None) -> bool:
    """Return whether TensorFlow Datasets, and so TensorFlow, is asked for `source`.

    Raises:
        UserError: it looks like a folder, but is none of images.
    """
    if source == "digits" or is_npz(source):
        return False
    return find_folder(source, data_dir, folder.no_one, unsplit=True) is None


def is_npz(source: str) -> bool:
    """Return whether a source is a file of arrays."""
    return str(source).endswith(".npz")


def find_folder(
    source: str, data_dir: str | os.PathLike[str] | None, say: folder.Say, unsplit: bool = False
) -> Path | None:
    """Return the image folder meant by `source`, or None when it is none; say so where it could
    have been a data set's name. Where `unsplit`, one without splits is meant too."""
    candidates = [Path(source).expanduser()]
    if data_dir is not None:
        candidates.append(Path(data_dir).expanduser() / source)
    for candidate in candidates:
        if folder.is_image_folder(candidate) or (unsplit and folder.is_class_folder(candidate)):
            if os.sep not in str(source):
                say(f"data: {source} is taken for the folder {shown_path(candidate.absolute())}")
            return candidate
    if candidates[0].is_file() and not is_npz(source):
        raise UserError(
            f"{source} is no .npz file; expected one with images `x` and labels `y`, as np.savez("
            "path, x=images, y=labels) writes it, or a folder with a folder for each class."
        )
    looks_like_path = candidates[0].is_absolute() or str(source).startswith((".", "~"))
    looks_like_path |= str(source).endswith(("/", os.sep)) or folder.is_class_folder(candidates[0])
    if looks_like_path and not is_npz(source):
        raise UserError(
            f"{source} is no folder of images; expected train/<class>/*.jpg and one of "
            f"{', '.join(folder.TEST_SPLITS)} in it.{_unsplit_words(candidates[0])}"
        )
    return None


def _unsplit_words(place: Path) -> str:
    """Return a sentence on what a folder holds instead, and what can be done with it."""
    if folder.is_class_folder(place):
        mend = (
            " `rnascl new` writes a recipe that tests on a part of each class; in Python, say "
            "held_out=0.2."
        )
    else:
        mend = ""
    return folder.what_is_in(place) + mend


def _check_shape(data: ImageData, expected: ImageShape, source: str, mend: str) -> None:
    pairs = zip(data.input_shape, expected, strict=True)
    if not all(wanted in (None, size) for size, wanted in pairs):
        came = " x ".join(map(str, data.input_shape))
        wanted = " x ".join("any" if size is None else str(size) for size in expected)
        raise UserError(f"the images of {source} are {came}, but {wanted} is wanted. {mend}")
