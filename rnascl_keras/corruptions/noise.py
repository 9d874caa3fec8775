"""Noise: of the sensor, of few photons, and of pixels that are lost."""

from __future__ import annotations

import numpy as np
from numpy.random import Generator


def gaussian_noise(image: np.ndarray, random: Generator, settings: float, _: float) -> np.ndarray:
    """Add normal noise of a standard deviation to every value."""
    return image + random.normal(scale=settings, size=image.shape)


def shot_noise(image: np.ndarray, random: Generator, settings: float, _: float) -> np.ndarray:
    """Count photons, of which a white pixel has so many."""
    return random.poisson(image * settings) / settings


def impulse_noise(image: np.ndarray, random: Generator, settings: float, _: float) -> np.ndarray:
    """Set a share of the values to 0 or 1."""
    lost = random.random(image.shape) < settings
    return np.where(lost, random.random(image.shape) < 0.5, image)
