"""Labels of an array file: what may be meant by them, as classes numbered from 0."""

from __future__ import annotations

import numpy as np

from rnascl_keras.errors import UserError

MOST_CLASSES = 100_000
"""Labels from there on are no numbers of classes."""


def as_classes(labels: np.ndarray, what: str) -> np.ndarray:
    """Return the class of each image.

    Args:
        labels: whole numbers (n,) or (n, 1), of any type; or (n, classes) with one 1 a row.
        what: the array's name, for errors.

    Returns:
        (n,) int64.

    Raises:
        UserError: none of these, or numbers that are no classes.
    """
    if labels.dtype.kind not in "iuf":
        raise UserError(
            f"{what} is {labels.dtype}; expected an integer class for each image. "
            "Number them, as np.unique(y, return_inverse=True) does."
        )
    if labels.ndim == 2 and labels.shape[1] == 1:
        labels = labels[:, 0]
    if labels.ndim == 2 and len(labels):
        labels = _classes_of_one_hot(labels, what)
    if labels.ndim != 1:
        raise UserError(
            f"{what} has shape {labels.shape}; expected an integer class for each image, (n,)."
        )
    if labels.dtype.kind == "f" and not np.array_equal(labels, np.round(labels)):
        raise UserError(
            f"{what} is {labels.dtype}, not of whole numbers; expected an integer class for each "
            "image."
        )
    if len(labels) and not 0 <= labels.min() <= labels.max() < MOST_CLASSES:
        odd = labels.min() if labels.min() < 0 else labels.max()
        raise UserError(
            f"{what} holds {odd}; expected classes numbered from 0, fewer than "
            f"{MOST_CLASSES:,}. Renumber them, as np.unique(y, return_inverse=True) does."
        )
    return labels.astype(np.int64)


def _classes_of_one_hot(labels: np.ndarray, what: str) -> np.ndarray:
    ones = labels == 1
    if (ones | (labels == 0)).all() and (ones.sum(axis=1) == 1).all():
        return ones.argmax(axis=1)
    raise UserError(
        f"{what} has shape {labels.shape}, and not one 1 among zeros in each row; expected one "
        "integer class for each image, (n,). Where each row holds a score for each class, give "
        "y.argmax(axis=1); several classes at once are not attacked."
    )
