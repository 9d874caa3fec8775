"""A fixed order in which every beginning and every end has the classes in proportion."""

from __future__ import annotations

import numpy as np


def stratified_order(labels: np.ndarray) -> np.ndarray:
    """Return a permutation that mixes the classes evenly; always the same for the same labels.

    Each class is shuffled and spread over the whole length, so the first n and the last n of
    the result have about n / classes of each, for any n.

    Args:
        labels: integer (n,).

    Returns:
        int64 (n,): the positions of `labels`, in their new order.
    """
    # The legacy generator: its streams are promised never to change.
    random = np.random.RandomState(0)
    position = np.empty(len(labels))
    for label in np.unique(labels):
        members = random.permutation(np.flatnonzero(labels == label))
        count = len(members)
        position[members] = (np.arange(count) + random.uniform(size=count)) / count
    return np.argsort(position, kind="stable")


def lies_by_class(labels: np.ndarray) -> bool:
    """Return whether images lie sorted by their classes, or in long runs of one: then no beginning
    and no end of them is a sample of all.

    Args:
        labels: integer (n,), from 0 on.
    """
    steps = np.diff(labels)
    changes = np.count_nonzero(steps)
    if changes == len(steps):
        return False
    shares = np.bincount(labels) / len(labels)
    # of neighbours in a mixed order, as many are of two classes
    mixed = len(steps) * (1 - np.sum(shares**2))
    is_sorted = changes > 0 and (steps.min() >= 0 or steps.max() <= 0)
    return bool(is_sorted or changes < mixed / 4)
