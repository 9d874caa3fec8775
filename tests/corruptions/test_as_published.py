"""Corruptions against what the published scripts make, in order of operations and rounding."""

from __future__ import annotations

import numpy as np
import pytest

from rnascl_keras.corruptions import CORRUPTIONS, SEVERITIES, corrupt
from rnascl_keras.corruptions.blur import streaked


def flat(value, n=1, side=32):
    return np.full((n, side, side, 3), value, np.uint8)


def waves(side):
    """An image whose waves differ in direction from channel to channel, cut off at both ends."""
    rows, columns = np.indices((side, side)) / side
    wave = [np.sin(7 * k * rows) + np.cos(5 * (4 - k) * columns) for k in (1, 2, 3)]
    return np.uint8(np.clip(127.5 + 90 * np.stack(wave, axis=-1), 0, 255))[None]


# Mean and standard deviation at each severity of what hendrycks/robustness' make_cifar_c.py,
# make_tinyimagenet_c.py and make_imagenet_c.py make of `waves`, run with OpenCV 5.0.0,
# scikit-image 0.26.0 and Pillow.
MADE_BY_THE_PUBLISHED = """
32 defocus_blur   126.52 79.83  126.56 78.89  126.60 78.04  126.61 77.47  126.78 75.80
32 zoom_blur      125.71 78.44  124.41 78.18  123.54 77.77  122.19 77.45  121.05 76.82
32 brightness     132.35 82.26  137.71 83.97  142.46 85.45  146.55 86.74  152.99 88.90
32 contrast       126.35 60.51  126.22 40.67  126.39 32.89  126.41 25.14  126.42 14.10
32 pixelate       126.99 80.20  127.06 80.07  127.08 79.79  127.15 79.53  127.28 79.03
64 defocus_blur   126.28 79.82  126.37 79.71  126.38 79.22  126.36 77.58  126.29 76.38
64 zoom_blur      125.09 79.68  123.61 79.29  122.40 78.93  120.81 78.38  119.32 77.80
64 brightness     137.38 83.96  146.21 86.76  152.66 88.95  157.20 90.78  159.75 91.94
64 contrast       126.23 32.84  126.17 25.04  126.17 17.53  126.20 10.75  126.16 8.13
64 pixelate       126.76 80.37  126.84 80.28  126.94 80.18  127.04 80.08  127.11 79.98
224 defocus_blur  125.95 79.97  125.97 79.72  125.98 79.00  127.50 78.86  127.29 77.49
224 zoom_blur     122.82 79.66  121.47 79.21  119.99 78.39  118.67 77.86  117.12 76.80
224 brightness    137.14 83.97  145.93 86.76  152.37 88.96  156.92 90.80  159.48 91.97
224 contrast      125.96 32.78  125.99 25.02  125.96 17.46  125.92 10.49  125.94 7.88
224 pixelate      126.74 80.43  126.81 80.42  126.59 80.40  126.54 80.34  126.65 80.25
"""


@pytest.mark.parametrize("row", MADE_BY_THE_PUBLISHED.strip().splitlines())
def test_waves_become_what_the_published_scripts_make_of_them(row):
    side, name, *figures = row.split()
    for k, severity in enumerate(SEVERITIES):
        made = corrupt(waves(int(side)), name, severity)
        expected = [float(figure) for figure in figures[2 * k : 2 * k + 2]]
        # now and then a sum that is whole but for rounding falls to the other side
        np.testing.assert_allclose([made.mean(), made.std()], expected, atol=0.08)


def test_streaks_are_rounded_to_the_nearest_byte():
    """As ImageMagick gives them back; what the published code makes itself is cut off."""
    image, number = (
        np.random.default_rng(3).integers(0, 256, (1, 32, 32, 3)),
        list(CORRUPTIONS).index("motion_blur"),
    )
    angle = np.random.default_rng((0, number, 3, 0)).uniform(-45, 45)
    exact = streaked(image[0].astype(float), 6, 2, angle)
    made = corrupt(image.astype(np.uint8), "motion_blur", 3)[0]
    assert np.abs(made - exact).max() <= 0.5 + 1e-6


def test_flakes_are_whole_bytes():
    """So they are the same on every ground, though each is whitened to another fraction."""
    flakes = []
    for value in range(0, 40, 3):
        ground = 0.9 * value + 0.1 * (1.5 * value + 127.5)
        flakes.append(corrupt(flat(value, n=3), "snow", 2).astype(int) - int(ground + 1e-9))
        assert flakes[-1].min() == 0
    seen = flakes[-1] + 190 < 255  # that are nowhere cut off
    for other in flakes:
        np.testing.assert_array_equal(other[seen], flakes[0][seen])


@pytest.mark.parametrize(("severity", "radius", "taps"), [(4, 8, 1), (5, 10, 2)])
def test_a_disk_s_edge_is_mirrored(severity, radius, taps):
    """Of radius 8 and 10 at 224 pixels the published kernels end with the disk, sum to more
    than 1, and so lighten; computed here tap by tap."""
    steps = np.arange(-radius, radius + 1)
    disk = (steps**2 + steps[:, None] ** 2 <= radius**2).astype(float)
    weights = np.exp(-(np.arange(-taps, taps + 1) ** 2) / (2 * 0.5**2))
    weights /= weights.sum()
    wide = np.pad(disk / disk.sum(), taps, mode="reflect")
    size, kernel = len(steps), 0
    for i, one in enumerate(weights):
        for j, other in enumerate(weights):
            kernel = kernel + one * other * wide[i : i + size, j : j + size]
    made = corrupt(flat(100, n=1, side=224), "defocus_blur", severity)
    np.testing.assert_array_equal(made, int(100 * kernel.sum()))
    assert made.min() > 100
