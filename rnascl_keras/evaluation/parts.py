"""Images that are looked at a part at a time: as bytes or on the disk until then."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from rnascl_keras.attacks.inputs import checked_images
from rnascl_keras.attacks.whole_pixels import whole_pixels
from rnascl_keras.data.image_data import ImageData
from rnascl_keras.data.pixels import check_whole_pixels

PART = 32 * 2**20
"""Bytes of float images in a part: attacks hold several arrays of that size, however many images
there are."""


class Parts:
    """Images in the order of their labels.

    Args:
        images: (n, h, w, c), float pixels in [0, 1] or uint8; or a split, whose pixels may lie in
            files.

    Attributes:
        whole: whether they are rounded to whole levels, as a file that takes bytes sees them.

    Raises:
        UserError: bytes that are not of 0 to 255.
    """

    def __init__(self, images: Any, *, whole: bool = False) -> None:
        self.whole = whole
        self._data = images if isinstance(images, ImageData) else None
        self._array = np.asarray(images if self._data is None else [])
        if self._array.dtype == np.uint8:
            check_whole_pixels(self._array, "what images hold")

    def __len__(self) -> int:
        return len(self._array if self._data is None else self._data)

    def first(self, count: int) -> np.ndarray:
        """Return the first images, floats in [0, 1]; see `of`."""
        return self.of(slice(0, min(count, len(self))))

    def of(self, rows: slice) -> np.ndarray:
        """Return some images, (m, h, w, c), as floats in [0, 1].

        Raises:
            UserError: they are no images, or pixels are outside of [0, 1] or undefined.
        """
        if self._data is not None:
            given = self._data.pixels.slice(rows.start, rows.stop).all()
        else:
            given = self._array[rows]
        images = checked_images(given)
        return whole_pixels(images) if self.whole else images

    def rows(self) -> Iterator[slice]:
        """Yield which images are in each part."""
        size = max(1, PART // max(1, self.first(1).nbytes)) if len(self) else 1
        for start in range(0, max(1, len(self)), size):
            yield slice(start, min(start + size, len(self)))
