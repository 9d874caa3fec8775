"""Blur: out of focus, through frosted glass, moved, and zoomed."""

from __future__ import annotations

from functools import lru_cache
from math import ceil, cos, radians, sin

import numpy as np
from numpy.random import Generator
from scipy import ndimage

from rnascl_keras.corruptions.numbers import in_bytes, to_the_nearest_byte


def defocus_blur(
    image: np.ndarray, random: Generator, settings: tuple[float, float], scale: float
) -> np.ndarray:
    """Spread each point over a disk."""
    kernel = _disk(*settings)
    if scale != 1:
        kernel = _resampled(kernel, scale)
    return ndimage.correlate(image, kernel[..., None], mode="mirror")


def _disk(radius: float, softness: float) -> np.ndarray:
    """Return a disk whose edge a Gaussian of few taps softens, (2 reach + 1, 2 reach + 1).

    As in the published code, there are 3 taps and 8 pixels to each side up to that radius, and 5
    taps on no more than the disk above; so it sums to a little more than 1 from 8 on, as its edge
    is mirrored.
    """
    taps, least = (1, 8) if radius <= 8 else (2, 0)
    reach = ceil(max(radius, least))
    steps = np.arange(-reach, reach + 1)
    disk = (steps**2 + steps[:, None] ** 2 <= radius**2).astype(np.float32)
    softened = {"sigma": softness, "radius": taps, "mode": "mirror"}
    return ndimage.gaussian_filter(disk / disk.sum(), **softened)


def _resampled(kernel: np.ndarray, scale: float) -> np.ndarray:
    """Return a kernel, (2 reach + 1, 2 reach + 1), whose taps lie `scale` pixels apart, of the same
    sum: each is shared, linearly, among the pixels that it falls between.

    A disk of a smaller radius would not do: where that is below a pixel it is a single tap, however
    finely its edge is counted, and blurs nothing.
    """
    reach = len(kernel) // 2
    places = scale * np.arange(-reach, reach + 1)
    pixels = np.arange(-ceil(scale * reach), ceil(scale * reach) + 1)
    # (pixels, taps): wider where taps lie farther apart than pixels, so that no gaps are left
    shares = np.maximum(0, 1 - np.abs(pixels[:, None] - places) / max(1, scale))
    made = shares @ kernel @ shares.T
    return (made * (kernel.sum() / made.sum())).astype(kernel.dtype)


def glass_blur(
    image: np.ndarray, random: Generator, settings: tuple[float, int, int], scale: float
) -> np.ndarray:
    """Let pixels take the place of near ones, between two Gaussian blurs.

    The published code means to swap the two pixels, but of colour images, where NumPy hands out
    views, the one becomes the other's copy; so it does here.
    """
    sigma, farthest, rounds = settings
    reach = max(1, round(scale * farthest))
    spread = (scale * sigma, scale * sigma, 0)
    blurred = ndimage.gaussian_filter(image, spread, mode="nearest")
    height, width, channels = image.shape
    source = list(range(height * width))
    rows, columns = range(height - reach, reach, -1), range(width - reach, reach, -1)
    for _ in range(rounds):
        shifts = random.integers(-reach, reach, size=(len(rows), len(columns), 2))
        steps = iter((shifts @ (width, 1)).ravel().tolist())
        for row in rows:
            for place in range(row * width + columns.start, row * width + columns.stop, -1):
                source[place] = source[place + next(steps)]
    moved = in_bytes(blurred).reshape(-1, channels)[source].reshape(image.shape) / 255
    return ndimage.gaussian_filter(moved, spread, mode="nearest")


def motion_blur(
    image: np.ndarray, random: Generator, settings: tuple[float, float], scale: float
) -> np.ndarray:
    """Draw each point out to one side, at most 45 degrees from level."""
    radius, sigma = (scale * length for length in settings)
    return to_the_nearest_byte(streaked(image, radius, sigma, random.uniform(-45, 45)))


def streaked(image: np.ndarray, radius: float, sigma: float, degrees: float) -> np.ndarray:
    """Return an image, (h, w, c), drawn out in a direction, as ImageMagick's motion blur does.

    Args:
        image: outside of it, its edge goes on.
        radius: the streak is 2 * radius + 1 steps of a pixel long.
        sigma: its weights are those of half a Gaussian.
        degrees: 0 looks to the right, 90 downwards.
    """
    steps = np.arange(2 * ceil(radius) + 1)
    weights = np.exp(-(steps**2) / (2 * sigma**2))
    across = np.ceil(steps * cos(radians(degrees)) - 0.5).astype(int)
    down = np.ceil(steps * sin(radians(degrees)) - 0.5).astype(int)
    reach = len(steps)
    # (h, w, c) -> (h + 2 reach, w + 2 reach, c)
    wide = np.pad(image, ((reach, reach), (reach, reach), (0, 0)), mode="edge")
    height, width = image.shape[:2]
    drawn = np.zeros_like(image)
    for weight, x, y in zip(weights / weights.sum(), across + reach, down + reach, strict=True):
        drawn += weight * wide[y : y + height, x : x + width]
    return drawn


def zoom_blur(image: np.ndarray, random: Generator, settings: np.ndarray, _: float) -> np.ndarray:
    """Average an image with what a zoom makes of it on its way."""
    image = image.astype(np.float32)  # as theirs, so that what is flat keeps its value
    zooms = [zoomed(image, factor).astype(np.float32) for factor in settings]
    return (image + sum(zooms)) / (len(zooms) + 1)


def zoomed(image: np.ndarray, factor: float) -> np.ndarray:
    """Return the middle of an image, (h, w, c), enlarged to its size, bilinear."""
    rows, columns = (_enlarging(size, float(factor)) for size in image.shape[:2])
    # (h, w, c) -> (c, h, w) and back
    return np.moveaxis(rows @ np.moveaxis(image, 2, 0) @ columns.T, 0, 2)


@lru_cache(maxsize=256)
def _enlarging(size: int, factor: float) -> np.ndarray:
    """Return the (size, size) matrix that enlarges the middle of a line of pixels to the line, so
    that the first and the last pixel of that middle keep their places at the ends."""
    inner = ceil(size / factor)
    enlarged = round(inner * factor)
    seen = (enlarged - size) // 2 + np.arange(size)  # the rest of it is cut off
    places = (size - inner) // 2 + seen * (inner - 1) / max(1, enlarged - 1)
    return np.maximum(0, 1 - np.abs(places[:, None] - np.arange(size)))
