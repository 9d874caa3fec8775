"""Weather: snow, frost, fog, and a bright sky."""

from __future__ import annotations

import numpy as np
from numpy.random import Generator

from rnascl_keras.corruptions.blur import streaked, zoomed
from rnascl_keras.corruptions.fractal import clouds
from rnascl_keras.corruptions.numbers import in_bytes, to_the_nearest_byte

GREY = (0.299, 0.587, 0.114)
"""Weights of red, green and blue in the luma of ITU-R BT.601."""
ICE = (0.88, 0.96, 1.0)
"""Frost is a little blue."""
BRIGHT, UNEVEN = 0.55, 0.24
"""Mean and standard deviation of the frost itself."""


def snow(
    image: np.ndarray, random: Generator, settings: tuple[float, ...], scale: float
) -> np.ndarray:
    """Whiten the image, and let flakes fall on it, twice: the second time turned around."""
    mean, deviation, zoom, least, radius, sigma, kept = settings
    flakes = zoomed(random.normal(mean, deviation, (*image.shape[:2], 1)), zoom)
    flakes = in_bytes(np.where(flakes < least, 0, flakes)) / 255
    flakes = streaked(flakes, scale * radius, scale * sigma, random.uniform(-135, -45))
    flakes = to_the_nearest_byte(flakes)
    grey = image @ GREY if image.shape[2] == len(GREY) else image[..., 0]
    white = np.maximum(image, 1.5 * grey[..., None] + 0.5)
    return kept * image + (1 - kept) * white + flakes + flakes[::-1, ::-1]


def frost(
    image: np.ndarray, random: Generator, settings: tuple[float, float], _: float
) -> np.ndarray:
    """Look through a frozen pane.

    Not the published frost: that lays photographs over the images, which are not ours to give on.
    This one is drawn; the weights are the published ones, the figures cannot be compared.
    """
    texture = _ice(image.shape[0], image.shape[1], random)
    tint = ICE if image.shape[2] == len(ICE) else (1.0,)
    return settings[0] * image + settings[1] * texture[..., None] * tint


def _ice(height: int, width: int, random: Generator) -> np.ndarray:
    """Return needles that grow in three directions, thicker in places, (height, width) in [0, 1];
    as bright, and as uneven, as the published photographs are on average."""
    length = min(height, width) / 16
    first = random.uniform(0, 60)
    needles = np.zeros((height, width, 1))
    for degrees in (first, first + 60, first + 120):
        germs = (random.random((height, width, 1)) < 0.1).astype(float)
        needles = np.maximum(needles, streaked(germs, length, length, degrees))
    ice = clouds(height, width, 1.7, random) + needles[..., 0] / max(needles.max(), 1e-9)
    return np.clip(BRIGHT + UNEVEN * (ice - ice.mean()) / max(ice.std(), 1e-9), 0, 1)


def fog(
    image: np.ndarray, random: Generator, settings: tuple[float, float], _: float
) -> np.ndarray:
    """Let clouds drift before the image; its brightest value stays where it was."""
    thickness, fading = settings
    brightest = image.max()
    before_it = clouds(image.shape[0], image.shape[1], fading, random)
    clouded = image + thickness * before_it[..., None]
    return clouded * brightest / (brightest + thickness)


def brightness(image: np.ndarray, random: Generator, settings: float, _: float) -> np.ndarray:
    """Add to the value of each pixel in HSV, which is its largest channel; hue and saturation stay,
    so all channels grow by the same factor."""
    value = image.max(axis=2, keepdims=True)
    lighter = np.minimum(value + settings, 1)
    # black has neither hue nor saturation: it becomes grey
    return np.where(value > 0, image * lighter / np.where(value > 0, value, 1), lighter)
