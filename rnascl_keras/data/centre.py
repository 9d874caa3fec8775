"""The central square of an image file that is tested on, also where TensorFlow is not installed."""

from __future__ import annotations

import numpy as np
from PIL import Image

CENTRE_SHARE = 224 / 256
"""Of the shorter side."""


def central_side(height: int, width: int, size: int) -> int:
    """Return the side of the square: an image that is `size` x `size` already is left as it is."""
    if (height, width) == (size, size):
        return size
    return max(round(min(height, width) * CENTRE_SHARE), 1)


def read_centre(path: str, size: int) -> np.ndarray:
    """Return the central square of a JPEG or PNG file, float32 (size, size, 3) in [0, 1].

    As `transforms.read_image` with TensorFlow, but for a few grey levels, by which the decoders of
    JPEG differ.
    """
    with Image.open(path) as file:
        image = _of_eight_bits(file).convert("RGB")
    side = central_side(image.height, image.width, size)
    top, left = (image.height - side) // 2, (image.width - side) // 2
    pixels = np.asarray(image)[top : top + side, left : left + side] / np.float32(255)
    shape = (size, size)
    channels = [
        np.asarray(Image.fromarray(pixels[..., c]).resize(shape, Image.Resampling.BILINEAR))
        for c in range(3)
    ]
    return np.clip(np.stack(channels, axis=-1), 0, 1)


def _of_eight_bits(image: Image.Image) -> Image.Image:
    """Return the image; one of 16 bits a pixel, which Pillow would clip, by its upper eight."""
    if not image.mode.startswith("I"):
        return image
    return Image.fromarray((np.asarray(image).astype(np.uint32) >> 8).astype(np.uint8))
