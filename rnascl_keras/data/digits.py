"""scikit-learn's handwritten digits: small enough for a run in minutes, and always at hand."""

from __future__ import annotations

from typing import Any

import numpy as np

from rnascl_keras.data.image_data import ImageData
from rnascl_keras.data.order import stratified_order
from rnascl_keras.data.pixels import ArrayPixels

TEST_IMAGES = 450


def load_digits() -> tuple[ImageData, ImageData]:
    """Return 1,347 training and 450 test images, 8 x 8 x 1, in a fixed stratified order."""
    from sklearn import datasets

    digits: Any = datasets.load_digits()  # a Bunch, but declared to be a pair as well
    # (1797, 8, 8), 0..16 -> (1797, 8, 8, 1), 0..1
    images = (digits.images[..., None] / 16).astype(np.float32)
    order = stratified_order(digits.target)
    names = tuple(str(name) for name in digits.target_names)
    data = ImageData(ArrayPixels(images[order]), digits.target[order], names)
    return data.split_last(TEST_IMAGES)
