"""Augmentation and evaluation's crop against NumPy and Pillow."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image
from sample_images import RANDOM, collect

from rnascl_keras.data import AUGMENTATIONS, ImageData, transforms
from rnascl_keras.data.pixels import ArrayPixels


@pytest.mark.parametrize(("name", "pad"), [("shift", 1), ("crop_flip", 4)])
def test_crop_and_flip_against_numpy(name, pad):
    images = RANDOM.integers(0, 256, (40, 6, 7, 2)).astype(np.uint8)
    draws = RANDOM.random((40, 3), np.float32)
    result = transforms.crop_and_flip(images_t := tf.constant(images), draws, AUGMENTATIONS[name])
    assert result.dtype == images_t.dtype
    for image, (top, left, flip), cropped in zip(images, draws, result.numpy(), strict=True):
        padded = np.pad(image, ((pad, pad), (pad, pad), (0, 0)))
        i, j = int(top * (2 * pad + 1)), int(left * (2 * pad + 1))
        expected = padded[i : i + 6, j : j + 7]
        if name == "crop_flip" and flip < 0.5:
            expected = expected[:, ::-1]
        np.testing.assert_array_equal(cropped, expected)


def test_cutout_against_numpy():
    images = RANDOM.integers(1, 256, (30, 32, 24, 2)).astype(np.uint8)
    draws = RANDOM.random((30, 5), np.float32)
    cut = transforms.crop_and_flip(tf.constant(images), draws, AUGMENTATIONS["crop_flip_cutout"])
    whole = transforms.crop_and_flip(tf.constant(images), draws, AUGMENTATIONS["crop_flip"])
    for row, found, expected in zip(draws, cut.numpy(), whole.numpy().copy(), strict=True):
        y, x = int(row[3] * 32), int(row[4] * 24)
        expected[max(0, y - 8) : y + 8, max(0, x - 8) : x + 8] = 0
        np.testing.assert_array_equal(found, expected)


def test_crops_and_flips_are_evenly_spread():
    n = 1800
    rows, columns = np.meshgrid(np.arange(9), np.arange(9), indexing="ij")
    image = np.stack([rows + 1, columns + 1, 0 * rows], -1).astype(np.uint8)
    data = ImageData(ArrayPixels(np.tile(image, (n, 1, 1, 1))), np.zeros(n), ("a",))
    ((x, _),) = collect(data, 1, n, augmentation="crop_flip")
    centre = np.rint(x[:, 4, 4] * 255)  # holds (row + 1, column + 1) of where it came from
    mirrored = x[:, 4, 3, 1] > x[:, 4, 4, 1]
    interior = (centre[:, 1] > 1) & (centre[:, 1] < 9)
    tops = np.bincount(centre[:, 0].astype(int), minlength=10)[1:]
    # chi-squared with 8 degrees of freedom: 26.1 is the 99.9 % quantile
    assert ((tops - n / 9) ** 2 / (n / 9)).sum() < 26.1
    assert abs(mirrored[interior].mean() - 0.5) < 0.05


def reference_window(
    height: int, width: int, draws: np.ndarray, smallest: float
) -> tuple[int, ...]:
    for area, ratio in zip(draws[3:13], draws[13:], strict=True):
        area = height * width * (smallest + (1 - smallest) * area)
        ratio = (3 / 4) ** (1 - ratio) * (4 / 3) ** ratio
        h, w = round((area / ratio) ** 0.5), round((area * ratio) ** 0.5)
        if 0 < h <= height and 0 < w <= width:
            return int(draws[0] * (height - h + 1)), int(draws[1] * (width - w + 1)), h, w
    if width / height < 3 / 4:
        h, w = round(width * 4 / 3), width
    else:
        h, w = height, round(height * 4 / 3)
    return (height - h) // 2, (width - w) // 2, h, w


@pytest.mark.parametrize("smallest", [0.08, 0.25])
@pytest.mark.parametrize("shape", [(224, 224), (333, 500), (32, 32), (10, 400), (400, 10)])
def test_random_windows_against_numpy(shape, smallest):
    differing = 0
    for draws in RANDOM.random((40, 23)):
        top, left, height, width = transforms.random_window(
            tf.constant(shape), tf.constant(draws, tf.float32), smallest
        ).numpy()
        assert 0 <= top <= top + height <= shape[0] and 0 <= left <= left + width <= shape[1]
        assert height > 0 and width > 0
        differing += (top, left, height, width) != reference_window(*shape, draws, smallest)
    # float32 may round a half the other way
    assert differing <= 1


def test_scaling_against_pillow():
    image = RANDOM.integers(0, 256, (60, 90, 3)).astype(np.uint8)
    for size in ((16, 20), (100, 120)):
        ours = transforms.scale(tf.constant(image), size).numpy()
        theirs = Image.fromarray(image).resize(size[::-1], Image.Resampling.BILINEAR)
        assert np.abs(ours - np.asarray(theirs) / 255).max() < 1.5 / 255


def test_evaluation_equals_scaling_the_shorter_side_and_cropping_the_centre(tmp_path):
    y, x = np.mgrid[:300, :420]
    waves = np.stack([np.sin(x / 40), np.cos(y / 30), np.sin((x + y) / 50)], -1)
    source = Image.fromarray((127.5 + 120 * waves).astype(np.uint8))
    source.save(tmp_path / "waves.png")
    draws = tf.zeros([0])
    ours = transforms.read_image(str(tmp_path / "waves.png"), 112, draws, smallest=0.0).numpy()
    scaled = source.resize((round(128 * 420 / 300), 128), Image.Resampling.BILINEAR)
    left = (scaled.width - 112) // 2
    usual = np.asarray(scaled.crop((left, 8, left + 112, 120))) / 255
    assert np.abs(ours - usual).max() < 6 / 255
