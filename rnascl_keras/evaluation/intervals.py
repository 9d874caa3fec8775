"""How far shares of images, and differences of them, can be told from chance: 95 % intervals."""

from __future__ import annotations

from math import sqrt

import numpy as np
from scipy.stats import binomtest, norm


def wilson_interval(right: np.ndarray) -> list[float]:
    """Return [low, high], the 95 % Wilson score interval of the share of True in `right`, (n,)."""
    interval = binomtest(int(np.sum(right)), len(right)).proportion_ci(0.95, method="wilson")
    return [float(interval.low), float(interval.high)]


def mean_interval(mean: float, n: int) -> list[float]:
    """Return [low, high], a 95 % interval of the mean of shares from 0 to 1, one for each of n
    images.

    Wilson's score interval, as wide as if each were 0 or 1: no other shares of that mean vary more.
    """
    z = float(norm.ppf(0.975))
    middle = (mean + z**2 / (2 * n)) / (1 + z**2 / n)
    half = z * sqrt(mean * (1 - mean) / n + z**2 / (4 * n**2)) / (1 + z**2 / n)
    return [max(0.0, middle - half), min(1.0, middle + half)]


def paired_interval(first: np.ndarray, second: np.ndarray) -> list[float]:
    """Return [low, high], the 95 % interval of a difference of shares on the same images.

    Newcombe (1998), Statistics in Medicine 17, 2635: method 10, square-and-add of the two Wilson
    intervals with the pairs' correlation. Unlike a bootstrap it has a width where the two never
    differ.

    Args:
        first, second: whether each image is right, (n,) bool; the difference is first - second.
    """
    n = len(first)
    share, other = float(np.mean(first)), float(np.mean(second))
    (low, high), (other_low, other_high) = (wilson_interval(right) for right in (first, second))
    correlation = _correlation(first, second)

    def length(down: float, up: float) -> float:
        return sqrt(max(0.0, down**2 - 2 * correlation * down * up + up**2))

    difference = (np.sum(first) - np.sum(second)) / n
    below = length(share - low, other_high - other)
    above = length(high - share, other - other_low)
    return [float(difference - below), float(difference + above)]


def _correlation(first: np.ndarray, second: np.ndarray) -> float:
    """Return phi of the table of pairs, its positive numerator corrected for continuity."""
    both, neither = int(np.sum(first & second)), int(np.sum(~first & ~second))
    only_first, only_second = int(np.sum(first & ~second)), int(np.sum(~first & second))
    numerator = float(both * neither - only_first * only_second)
    if numerator > 0:
        numerator = max(0.0, numerator - len(first) / 2)
    product = float(np.sum(first) * np.sum(~first)) * float(np.sum(second) * np.sum(~second))
    return numerator / sqrt(product) if product else 0.0
