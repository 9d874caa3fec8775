"""A few images that were classified right and then fooled, to be looked at."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

SHOWN = 8
"""How many of an attack's are kept."""


@dataclass(frozen=True)
class Examples:
    """Images, what an attack made of them, and what is said of these.

    Attributes:
        rows: (k,) numbers of the images among those evaluated.
        images: (k, h, w, c), pixels in [0, 1].
        labels: (k,) their classes.
        attacked: (k, h, w, c).
        answers: (k,) the classes that the attacked ones are given.
    """

    rows: np.ndarray
    images: np.ndarray
    labels: np.ndarray
    attacked: np.ndarray
    answers: np.ndarray

    @classmethod
    def none(cls) -> Examples:
        """Return no example yet."""
        empty, images = np.zeros(0, int), np.zeros((0, 0, 0, 0), np.float32)
        return cls(empty, images, empty, images, empty)

    def with_more(self, *more: np.ndarray) -> Examples:
        """Return these and, up to `SHOWN`, others, given as the attributes are."""
        room = SHOWN - len(self.rows)
        if room <= 0 or not len(more[0]):
            return self
        first = [x[:room] for x in more]
        if not len(self.rows):
            return Examples(*first)
        own = (self.rows, self.images, self.labels, self.attacked, self.answers)
        return Examples(*(np.concatenate(pair) for pair in zip(own, first, strict=True)))
