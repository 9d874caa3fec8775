"""What the tests of data share: small splits, image files, batches as arrays."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

from rnascl_keras.data import ImageData
from rnascl_keras.data.pixels import ArrayPixels

RANDOM = np.random.default_rng(7)


def numbered(n: int, size: int = 8, dtype: type = np.uint8) -> ImageData:
    """Random images, each its own class, so that a label says which image came."""
    images = RANDOM.integers(1, 256, (n, size, size, 3)).astype(np.uint8)
    if dtype == np.float32:
        images = (images / 255).astype(np.float32)
    return ImageData(ArrayPixels(images), np.arange(n), tuple(map(str, range(n))))


def collect(data: ImageData, batches: int, batch_size: int, **options) -> list:
    dataset = data.training_batches(batch_size, **options).take(batches)
    return [(x, y) for x, y in dataset.as_numpy_iterator()]


def save_images(folder: Path, count: int, suffix: str = "png", mode: str = "RGB") -> None:
    folder.mkdir(parents=True)
    for i in range(count):
        shape = (24, 30) if mode == "L" else (24, 30, 3)
        pixels = RANDOM.integers(0, 256, shape).astype(np.uint8)
        Image.fromarray(pixels).save(folder / f"{i}.{suffix}")
