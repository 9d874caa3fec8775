"""Digital damage: little contrast, warped, coarse pixels, and JPEG."""

from __future__ import annotations

import io

import numpy as np
from numpy.random import Generator
from PIL import Image
from scipy import ndimage


def contrast(image: np.ndarray, random: Generator, settings: float, _: float) -> np.ndarray:
    """Draw each channel towards its mean."""
    mean = image.mean(axis=(0, 1))
    return mean + settings * (image - mean)


def elastic_transform(
    image: np.ndarray, random: Generator, settings: tuple[float, float, float], scale: float
) -> np.ndarray:
    """Shift three corners, then pull every pixel along by smooth waves (Simard et al. 2003)."""
    height, smoothness, shift = (scale * length for length in settings)
    sides = image.shape[:2]
    # as theirs, so that what is flat keeps its value
    skewed = _skewed(image.astype(np.float32), shift, random)
    spread = {"sigma": smoothness, "truncate": 3, "mode": "reflect"}
    across, down = (
        height * ndimage.gaussian_filter(random.uniform(-1, 1, sides), **spread) for _ in "xy"
    )
    rows, columns = np.indices(sides)
    return _sampled(skewed, rows + down, columns + across, "reflect")


def _skewed(image: np.ndarray, shift: float, random: Generator) -> np.ndarray:
    """Return the affine image in which three corners of a square have moved at random."""
    sides = image.shape[:2]
    middle, reach = np.array(sides[::-1]) // 2, max(1, min(sides) // 3)
    # x, y of the corners: below right, above right, above left
    before = middle + reach * np.array([[1, 1], [1, -1], [-1, -1]])
    after = before + random.uniform(-shift, shift, before.shape)
    back = np.linalg.lstsq(np.column_stack([after, np.ones(3)]), before, rcond=None)[0]
    rows, columns = np.indices(sides)
    x, y = (back[0, k] * columns + back[1, k] * rows + back[2, k] for k in range(2))
    return _sampled(image, y, x, "mirror")


def _sampled(image: np.ndarray, rows: np.ndarray, columns: np.ndarray, mode: str) -> np.ndarray:
    """Return an image's values, (h, w, c), between its pixels, bilinear."""
    channels = np.moveaxis(image, 2, 0)
    places = np.array([rows, columns])
    sampled = [ndimage.map_coordinates(c, places, order=1, mode=mode) for c in channels]
    return np.stack(sampled, axis=2)


def pixelate(image: np.ndarray, random: Generator, settings: float, _: float) -> np.ndarray:
    """Make the image smaller by a share of its sides, and larger again."""
    picture = _picture(image)
    small = [max(1, int(side * settings)) for side in picture.size]
    box = Image.Resampling.BOX
    return _pixels(picture.resize(small, box).resize(picture.size, box), image)


def jpeg_compression(image: np.ndarray, random: Generator, settings: int, _: float) -> np.ndarray:
    """Write the image as a JPEG of a quality, and read it."""
    file = io.BytesIO()
    _picture(image).save(file, "JPEG", quality=settings)
    with Image.open(file) as picture:
        return _pixels(picture, image)


def _picture(image: np.ndarray) -> Image.Image:
    pixels = np.rint(255 * image).astype(np.uint8)
    return Image.fromarray(pixels if pixels.shape[2] > 1 else pixels[..., 0])


def _pixels(picture: Image.Image, like: np.ndarray) -> np.ndarray:
    return np.asarray(picture).reshape(like.shape) / 255
