"""The class that an image is given, and whether it counts as classified right."""

from __future__ import annotations

import numpy as np

NO_CLASS = -1


def given_class(logits: np.ndarray) -> np.ndarray:
    """Return the class of the largest logit of each image, (n,); `NO_CLASS` where there is none.

    One whose largest logit is NaN or infinite has no class: argmax takes the first NaN for the
    largest, so that a model that breaks down under attack would look robust for some classes. Minus
    infinity beside a finite logit is a probability of 0, and nothing else.

    Args:
        logits: (n, classes).
    """
    return np.where(np.isfinite(logits.max(axis=-1)), logits.argmax(axis=-1), NO_CLASS)


def agreement(first: np.ndarray, second: np.ndarray) -> float:
    """Return the share of images that both logits (n, classes) give one class, or none."""
    return float(np.mean(given_class(first) == given_class(second)))


def is_right(logits: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Return which images are given the class of their label, (n,) bool, see `given_class`.

    Args:
        logits: (n, classes).
        labels: (n,), from 0.
    """
    return given_class(logits) == labels
