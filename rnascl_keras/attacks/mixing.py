"""Models whose answer on an image depends on more than that image.

Some say otherwise of it where others lie beside it in its batch, and some each time they are asked.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

COMPARED = 8
"""Images that are asked about alone and together."""
EACH_ALONE = "each image alone, for those of a batch change each other's answers"
"""How a model that mixes the images of a batch is run, in words."""
AT_RANDOM = (
    "answers at random, and an image counts as fallen at its first wrong answer: the more an "
    "attack asks, the less is left"
)
# Of the logits: what rounding, that of half precision too, makes of them at most.
_OF_SPREAD, _OF_SIZE = 1e-2, 1e-4
_FEW = 0.25


def differ(first: np.ndarray, second: np.ndarray) -> bool:
    """Whether two logits (n, classes) of the same images differ by more than rounding does, on more
    than a quarter of them: where a network rounds within, a few can."""
    both = np.isfinite(first).all(axis=1) & np.isfinite(second).all(axis=1)
    if not both.any():
        return False
    first, second = first[both], second[both]
    allowed = _OF_SPREAD * np.ptp(second) + _OF_SIZE * np.abs(second).max()
    beyond = np.abs(first - second).max(axis=1) > allowed
    return bool(beyond.mean() > _FEW)


def depends_on(logits_of: Callable[[np.ndarray], np.ndarray], images: np.ndarray) -> str | None:
    """Return what an answer depends on besides the image, `EACH_ALONE` or `AT_RANDOM`, or None.

    Args:
        logits_of: (n, h, w, c) -> (n, classes), all of them in one batch.
        images: (n, h, w, c), a few of those that are to be attacked.
    """

    def alone() -> np.ndarray:
        return np.concatenate([logits_of(image[None]) for image in images])

    together = logits_of(images)
    if together.ndim != 2:  # no classifier: that is told by whoever asks
        return None
    each = alone()
    if differ(each, alone()):
        return AT_RANDOM
    return EACH_ALONE if differ(each, together) else None
