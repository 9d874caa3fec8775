"""What can be attacked: images, labels and logits that fit each other."""

from __future__ import annotations

import numpy as np

from rnascl_keras.errors import UserError

_ROUNDING = 1e-3
_HALF = 0.5
_ENOUGH = 8
"""Images, fewer of which can have such logits by chance."""


def checked_images(images: np.ndarray) -> np.ndarray:
    """Return images, (n, h, w, c), as floats in [0, 1]: uint8 is divided by 255, float64 stays.

    Raises:
        UserError: another shape, or pixels outside [0, 1] or undefined.
    """
    images = np.asarray(images)
    if images.ndim != 4 or len(images) == 0:
        raise UserError(
            f"images have shape {images.shape}; expected (n, h, w, c) with n at least 1."
        )
    if images.dtype == np.uint8:
        return images / np.float32(255)
    if images.dtype != np.float64:
        images = images.astype(np.float32)
    if not np.isfinite(images).all():
        raise UserError("pixels are NaN or infinite in some images; mend or leave out these.")
    low, high = float(images.min()), float(images.max())
    if low < 0 or high > 1:
        raise UserError(
            f"pixels range from {low!r} to {high!r}; expected [0, 1]. Divide by 255 what is not "
            "uint8, and leave normalisation to the model."
        )
    return images


def checked_labels(labels: np.ndarray, count: int) -> np.ndarray:
    """Return labels, integers of any kind, (count,) or (count, 1), as int64, (count,).

    Raises:
        UserError: they are no classes of so many images.
    """
    labels = np.asarray(labels)
    if labels.ndim == 2 and labels.shape[1] == 1:  # as `keras.datasets` gives them
        labels = labels[:, 0]
    if labels.shape != (count,) or not np.issubdtype(labels.dtype, np.integer):
        raise UserError(
            f"labels are {labels.dtype} of shape {labels.shape}; expected one integer for each of "
            f"the {count} images."
        )
    return labels.astype(np.int64)


def check_whole(name: str, value: int, least: int = 0) -> None:
    """Raise UserError where the setting called `name` is no whole number of at least `least`."""
    if isinstance(value, bool) or not isinstance(value, int | np.integer) or value < least:
        raise UserError(f"{name} is {value!r}; expected an integer of at least {least}.")


def check_logits(logits: np.ndarray, labels: np.ndarray) -> None:
    """Raise UserError where the clean images' logits, (n, classes), cannot be attacked against
    `labels`, (n,)."""
    check_answers(logits, labels)
    if _are_probabilities(logits):
        raise UserError(
            "the model gives probabilities, or some or a multiple of them, by a softmax or sigmoid "
            "that cannot be left out: none is negative, and an image's add up to "
            f"{logits.sum(axis=1).max():.3g} at most. Give the model without it, else its "
            "gradients vanish and it looks robust."
        )


def check_answers(logits: np.ndarray, labels: np.ndarray) -> None:
    """Raise UserError where the clean images' logits or probabilities, (n, classes), are not those
    of a classifier of the classes in `labels`, (n,)."""
    if logits.ndim != 2 or logits.shape[1] < 2:
        raise UserError(
            f"the model's output for {len(labels)} images has shape {logits.shape}; expected "
            f"({len(labels)}, classes): only classifiers can be evaluated."
        )
    classes = logits.shape[1]
    if labels.min() < 0 or labels.max() >= classes:
        raise UserError(
            f"labels range from {labels.min()} to {labels.max()}; the model has {classes} outputs, "
            f"so 0 to {classes - 1} is expected.{_counted_from_one(labels, classes)}"
        )
    if not np.all(np.isfinite(logits)):
        raise UserError("the model gives infinite or undefined (NaN) logits on the clean images.")


def _counted_from_one(labels: np.ndarray, classes: int) -> str:
    """Return what to do where classes are numbered from 1 on, "" elsewhere."""
    from_one = labels.min() == 1 and labels.max() == classes
    return " They seem to be numbered from 1 on: subtract 1." if from_one else ""


def _are_probabilities(logits: np.ndarray) -> bool:
    """Whether rows are probabilities of all classes, or of some of them, or a multiple: no trained
    network's logits are all positive with one sum, or a sum of at most 1."""
    sums = logits.sum(axis=1)
    if logits.min() < 0 or not sums.max() > 0:
        return False
    if np.allclose(sums, 1.0, atol=_ROUNDING):
        return True
    if logits.shape[1] == 2 and not logits.any(axis=0).all() and logits.max() < _HALF:
        return False  # (0, z) of one number z: a probability is more than a half of some images
    if len(logits) < _ENOUGH or not np.ptp(logits, axis=0).any():
        return False
    return bool(sums.max() <= 1 + _ROUNDING or np.ptp(sums) <= _ROUNDING * sums.max())
