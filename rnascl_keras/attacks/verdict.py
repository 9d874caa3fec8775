"""The class that an image is given, and whether it counts as classified right."""

from __future__ import annotations

import numpy as np

NO_CLASS = -1
# of the range of all logits: a few of the 255 steps between an int8 output's ends
TIE = 0.02


def given_class(logits: np.ndarray) -> np.ndarray:
    """Return the class of the largest logit of each image, (n,); `NO_CLASS` where there is none.

    One whose largest logit is NaN or infinite has no class: argmax takes the first NaN for the
    largest, so that a model that breaks down under attack would look robust for some classes. Minus
    infinity beside a finite logit is a probability of 0, and nothing else.

    Args:
        logits: (n, classes).
    """
    return np.where(np.isfinite(logits.max(axis=-1)), logits.argmax(axis=-1), NO_CLASS)


def agreement(twin: np.ndarray, own: np.ndarray) -> float:
    """Return the share of images to which a twin of a network gives a class that it gives, too.

    A network whose steps are whole numbers has tied classes, or nearly so, where it has learned
    little; which of them comes first is an accident of rounding. So the twin may name any class
    whose own logit lies within `TIE` of the image's largest.

    Args:
        twin: the twin's logits, (n, classes).
        own: the network's own, (n, classes).
    """
    named, given = given_class(twin), given_class(own)
    has_class = (named != NO_CLASS) & (given != NO_CLASS)
    finite = own[np.isfinite(own)]
    slack = TIE * np.ptp(finite) if finite.size else 0.0
    with np.errstate(invalid="ignore"):  # infinity from itself, where there is no class
        short = own.max(axis=-1) - own[np.arange(len(own)), np.maximum(named, 0)]
    return float(np.mean(np.where(has_class, short <= slack, named == given)))


def is_right(logits: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Return which images are given the class of their label, (n,) bool, see `given_class`; one
    without a class is given none, whatever its label.

    Args:
        logits: (n, classes).
        labels: (n,), from 0.
    """
    given = given_class(logits)
    return (given == labels) & (given != NO_CLASS)
