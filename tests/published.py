"""Published weights and CIFAR-10's images, as in `benchmarks.published`; tests skip without."""

import functools

import pytest

from benchmarks import published
from benchmarks.published import to_numpy, to_torch

__all__ = ["cifar10", "in_keras", "in_torch", "to_numpy", "to_torch"]


def _or_skip(function):
    @functools.wraps(function)
    def call(*given, **settings):
        try:
            return function(*given, **settings)
        except published.NotAtHand as missing:
            pytest.skip(str(missing))

    return call


cifar10, in_keras, in_torch = map(
    _or_skip, (published.cifar10, published.in_keras, published.in_torch)
)
