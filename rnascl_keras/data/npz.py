"""Labelled images in an `.npz` file."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from rnascl_keras.data.image_data import ImageData
from rnascl_keras.data.order import stratified_order
from rnascl_keras.data.pixels import ArrayPixels
from rnascl_keras.errors import UserError
from rnascl_keras.files.arrays import read_arrays

NAMES = ("x", "y", "x_test", "y_test")
CHANNELS = (1, 3, 4)
HELD_OUT = 0.2
MOST_CLASSES = 100_000
"""Labels from there on are no numbers of classes."""


def load_npz(path: Path) -> tuple[ImageData, ImageData]:
    """Return the training and the test split of an `.npz`.

    Raises:
        UserError: not readable, or `x`, `y` missing or not labelled images.
    """
    arrays = read_arrays(path, NAMES)
    images, labels = _checked(arrays, "x", "y", path, None)
    if "x_test" not in arrays:
        order = stratified_order(labels)
        data = _image_data(images[order], labels[order], labels.max() + 1)
        if len(data) < 2:
            raise UserError(f"{path} holds one image; a test image cannot be held out.")
        return data.split_last(max(1, round(HELD_OUT * len(data))))
    test_images, test_labels = _checked(arrays, "x_test", "y_test", path, None)
    if images.shape[1:] != test_images.shape[1:]:
        raise UserError(
            f"{path}: images of x are {images.shape[1:]}, of x_test {test_images.shape[1:]}; "
            "expected one shape."
        )
    classes = max(labels.max(), test_labels.max()) + 1
    return _image_data(images, labels, classes), _image_data(test_images, test_labels, classes)


def load_test_npz(path: Path, input_shape: Sequence[int | None] | None) -> ImageData:
    """Return `x_test`, `y_test` of an `.npz` where present, else all of `x`, `y`.

    Args:
        path: the file.
        input_shape: height, width, channels that are wanted: decides between NHWC and NCHW.

    Raises:
        UserError: as `load_npz`.
    """
    arrays = read_arrays(path, NAMES)
    names = ("x_test", "y_test") if "x_test" in arrays else ("x", "y")
    images, labels = _checked(arrays, *names, path, input_shape)
    return _image_data(images, labels, labels.max() + 1)


def _image_data(images: np.ndarray, labels: np.ndarray, classes: int) -> ImageData:
    return ImageData(ArrayPixels(images), labels, tuple(str(k) for k in range(classes)))


def _checked(
    arrays: dict[str, np.ndarray],
    image_name: str,
    label_name: str,
    path: Path,
    input_shape: Sequence[int | None] | None,
) -> tuple[np.ndarray, np.ndarray]:
    """Return images as NHWC, uint8 or float32 in [0, 1], and labels as int64."""
    for name in (image_name, label_name):
        if name not in arrays:
            raise UserError(f"{path} has no array {name!r}; expected images `x` and labels `y`.")
    images, labels = arrays[image_name], arrays[label_name]
    if labels.ndim == 2 and labels.shape[1] == 1:
        labels = labels[:, 0]
    if labels.ndim != 1 or not np.issubdtype(labels.dtype, np.integer):
        raise UserError(
            f"{path}: {label_name} is {labels.dtype} of shape {labels.shape}; expected an "
            "integer class for each image."
        )
    if len(images) != len(labels) or not len(labels):
        raise UserError(
            f"{path}: {len(images)} images in {image_name} and {len(labels)} labels in "
            f"{label_name}; expected as many of each, and at least one."
        )
    if labels.min() < 0 or labels.max() >= MOST_CLASSES:
        odd = labels.min() if labels.min() < 0 else labels.max()
        raise UserError(
            f"{path}: {label_name} holds {odd}; expected classes numbered from 0, fewer than "
            f"{MOST_CLASSES:,}. Renumber them, as np.unique(y, return_inverse=True) does."
        )
    images = _pixels(_channels_last(images, f"{path}: {image_name}", input_shape), path, image_name)
    return images, labels.astype(np.int64)


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


def _pixels(images: np.ndarray, path: Path, name: str) -> np.ndarray:
    if images.dtype == np.uint8:
        return images
    if not np.issubdtype(images.dtype, np.floating):
        raise UserError(f"{path}: {name} is {images.dtype}; expected uint8 or float.")
    undefined = int(np.sum(~np.isfinite(images).all(axis=(1, 2, 3))))
    if undefined:
        raise UserError(
            f"{path}: {name} holds NaN or infinite pixels in {undefined} of {len(images)} images; "
            "mend or leave out these images."
        )
    low, high = images.min(), images.max()
    if low < 0 or high > 1:
        raise UserError(
            f"{path}: {name} goes from {low:g} to {high:g}; expected float pixels in [0, 1]. "
            "Divide by 255, undo a normalisation, or store uint8."
        )
    return images.astype(np.float32)
