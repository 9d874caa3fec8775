"""Whether an image counts as classified right."""

from __future__ import annotations

import numpy as np


def is_right(logits: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Return which images have their largest logit at their label, (n,) bool.

    One whose largest logit is NaN or infinite has no class and is never right: argmax takes the
    first NaN for the largest, so that a model that breaks down under attack would look robust for
    some classes. Minus infinity beside a finite logit is a probability of 0, and nothing else.

    Args:
        logits: (n, classes).
        labels: (n,).
    """
    return np.isfinite(logits.max(axis=-1)) & (logits.argmax(axis=-1) == labels)
