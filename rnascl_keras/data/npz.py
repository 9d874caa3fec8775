"""Labelled images in an `.npz` file."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from rnascl_keras.data.image_data import ImageData
from rnascl_keras.data.labels import as_classes
from rnascl_keras.data.order import stratified_order
from rnascl_keras.data.pixels import FEWEST_LEVELS, ArrayPixels, check_whole_pixels
from rnascl_keras.errors import UserError
from rnascl_keras.files.arrays import array_names, read_arrays

Pair = tuple[str, str]

PAIRS: tuple[Pair, ...] = (
    ("x", "y"),
    ("x_train", "y_train"),
    ("train_images", "train_labels"),
    ("images", "labels"),
)
"""What images and labels are called, the first that is there counts: here, by Keras' and by
MedMNIST's files, and in plain words."""

TEST_PAIRS: tuple[Pair, ...] = (("x_test", "y_test"), ("test_images", "test_labels"))

CHANNELS = (1, 3, 4)
HELD_OUT = 0.2


def load_npz(path: Path) -> tuple[ImageData, ImageData]:
    """Return the training and the test split of an `.npz`.

    Raises:
        UserError: not readable, or without labelled images.
    """
    arrays = _read(path)
    images, labels = _checked(arrays, _pair(arrays, PAIRS, path), path, None)
    test_pair = _found(arrays, TEST_PAIRS)
    if test_pair is None:
        data = _image_data(images, labels, labels.max() + 1)
        data = data.in_order(stratified_order(labels))
        if len(data) < 2:
            raise UserError(f"{path} holds one image; a test image cannot be held out.")
        return data.split_last(max(1, round(HELD_OUT * len(data))))
    test_images, test_labels = _checked(arrays, test_pair, path, None)
    if images.shape[1:] != test_images.shape[1:]:
        raise UserError(
            f"{path}: training images are {images.shape[1:]}, those of {test_pair[0]} "
            f"{test_images.shape[1:]}; expected one shape."
        )
    classes = max(labels.max(), test_labels.max()) + 1
    return _image_data(images, labels, classes), _image_data(test_images, test_labels, classes)


def load_test_npz(path: Path, input_shape: Sequence[int | None] | None) -> ImageData:
    """Return the test split of an `.npz` where it has one, else all of its images.

    Args:
        path: the file.
        input_shape: height, width, channels that are wanted: decides between NHWC and NCHW.

    Raises:
        UserError: as `load_npz`.
    """
    arrays = _read(path)
    pair = _found(arrays, TEST_PAIRS) or _pair(arrays, PAIRS, path)
    images, labels = _checked(arrays, pair, path, input_shape)
    return _image_data(images, labels, labels.max() + 1)


def has_test_split(path: Path) -> bool:
    """Return whether an `.npz` has a test split of its own."""
    return not {name for pair in TEST_PAIRS for name in pair}.isdisjoint(array_names(path))


def _read(path: Path) -> dict[str, np.ndarray]:
    """Return the arrays that can be images or labels."""
    arrays = read_arrays(path, [name for pair in (*PAIRS, *TEST_PAIRS) for name in pair])
    if not arrays:
        held = ", ".join(map(repr, array_names(path)[:8])) or "no array"
        raise UserError(
            f"{path} holds {held}; expected images `x` and labels `y`, as "
            "np.savez(path, x=images, y=labels) writes them."
        )
    return arrays


def _found(arrays: dict[str, np.ndarray], pairs: Sequence[Pair]) -> Pair | None:
    """Return the first pair that is there, or of which one array is."""
    halves = [pair for pair in pairs if arrays.keys() & set(pair)]
    return next((pair for pair in halves if arrays.keys() >= set(pair)), next(iter(halves), None))


def _pair(arrays: dict[str, np.ndarray], pairs: Sequence[Pair], path: Path) -> Pair:
    pair = _found(arrays, pairs)
    if pair is None:
        raise UserError(
            f"{path} holds test images only; expected training images `x` and labels `y` too."
        )
    return pair


def _image_data(images: np.ndarray, labels: np.ndarray, classes: int) -> ImageData:
    return ImageData(ArrayPixels(images), labels, tuple(str(k) for k in range(classes)))


def _checked(
    arrays: dict[str, np.ndarray],
    pair: Pair,
    path: Path,
    input_shape: Sequence[int | None] | None,
) -> tuple[np.ndarray, np.ndarray]:
    """Return images as NHWC, uint8 or float32 in [0, 1], and labels as int64."""
    for name in pair:
        if name not in arrays:
            raise UserError(
                f"{path} has no array {name!r}; expected images `{pair[0]}` and labels `{pair[1]}`."
            )
    images, labels = (arrays[name] for name in pair)
    labels = as_classes(labels, f"{path}: {pair[1]}")
    images = _channels_last(images, f"{path}: {pair[0]}", input_shape)
    if len(images) != len(labels) or not len(labels):
        raise UserError(
            f"{path}: {len(images)} images in {pair[0]} and {len(labels)} labels in "
            f"{pair[1]}; expected as many of each, and at least one."
        )
    return _pixels(images, f"{path}: {pair[0]}"), labels


def _channels_last(
    images: np.ndarray, what: str, input_shape: Sequence[int | None] | None
) -> np.ndarray:
    if images.ndim == 3:
        return images[..., None]  # (n, h, w) -> (n, h, w, 1)
    if images.ndim == 4:
        swapped = images.transpose(0, 2, 3, 1)  # (n, c, h, w) -> (n, h, w, c)
        if input_shape in (images.shape[1:], swapped.shape[1:]):
            return images if images.shape[1:] == input_shape else np.ascontiguousarray(swapped)
        if images.shape[3] in CHANNELS:
            return images
        if images.shape[1] in CHANNELS:
            return np.ascontiguousarray(swapped)
    raise UserError(
        f"{what} has shape {images.shape}; expected (n, h, w, c) or (n, c, h, w) with 1, 3 or 4 "
        "channels."
    )


def _pixels(images: np.ndarray, what: str) -> np.ndarray:
    if images.dtype.kind in "iu":
        check_whole_pixels(images, what)
        return images.astype(np.uint8, copy=False)
    if images.dtype.kind != "f":
        raise UserError(f"{what} is {images.dtype}; expected uint8 or float.")
    undefined = int(np.sum(~np.isfinite(images).all(axis=(1, 2, 3))))
    if undefined:
        raise UserError(
            f"{what} holds NaN or infinite pixels in {undefined} of {len(images)} images; "
            "mend or leave out these images."
        )
    low, high = float(images.min()), float(images.max())
    if low < 0 or high > 1:
        raise UserError(
            f"{what} goes from {low!r} to {high!r}; expected float pixels in [0, 1]. "
            "Divide by 255, undo a normalisation, or store uint8."
        )
    if 0 < high <= FEWEST_LEVELS / 255:
        raise UserError(
            f"{what} goes from {low!r} to {high!r}; expected float pixels in [0, 1], white "
            "being 1. If they were divided by 255 twice, multiply by 255."
        )
    return images.astype(np.float32)
