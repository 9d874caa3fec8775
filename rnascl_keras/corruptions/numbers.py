"""From values in [0, 1] to bytes, as the published sets are written."""

from __future__ import annotations

import numpy as np


def in_bytes(values: np.ndarray) -> np.ndarray:
    """Return values, those outside of [0, 1] cut off, as bytes, uint8: what is between two is the
    lower, since the published code converts so."""
    return (255 * np.clip(values, 0, 1)).astype(np.uint8)


def to_the_nearest_byte(values: np.ndarray) -> np.ndarray:
    """Return values in [0, 1] of which 255 times are whole, as ImageMagick gives streaks back."""
    return np.rint(255 * values) / 255
