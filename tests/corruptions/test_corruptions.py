"""Corruptions against what can be computed by hand, or by another library."""

from __future__ import annotations

import colorsys
import io

import numpy as np
import pytest
from PIL import Image
from scipy import ndimage

from rnascl_keras.corruptions import CORRUPTIONS, SEVERITIES, corrupt, corruptions_named
from rnascl_keras.corruptions.blur import streaked, zoomed
from rnascl_keras.corruptions.fractal import clouds
from rnascl_keras.corruptions.severities import CIFAR_10_C
from rnascl_keras.errors import UserError

RANDOM = np.random.default_rng(3)
SHAPES = [(8, 8, 1), (32, 32, 3), (64, 40, 3), (96, 96, 1), (1, 1, 3), (2, 5, 1)]


def smooth(n, side=32):
    """Images whose neighbouring pixels are alike, as those of things are; of full contrast."""
    noise = ndimage.gaussian_filter(RANDOM.normal(size=(n, side, side, 3)), (0, 2.5, 2.5, 0))
    low, high = noise.min(axis=(1, 2, 3), keepdims=True), noise.max(axis=(1, 2, 3), keepdims=True)
    return np.uint8(255 * (noise - low) / (high - low))


def flat(value, n=40, side=32):
    return np.full((n, side, side, 3), value, np.uint8)


@pytest.mark.parametrize("name", CORRUPTIONS)
@pytest.mark.parametrize("shape", SHAPES)
def test_bytes_of_any_size_stay_bytes_of_that_size(name, shape):
    images = RANDOM.integers(0, 256, (2, *shape)).astype(np.uint8)
    before = images.copy()
    for severity in (1, 5):
        made = corrupt(images, name, severity)
        assert made.dtype == np.uint8 and made.shape == images.shape
    np.testing.assert_array_equal(images, before)


@pytest.mark.parametrize("name", CORRUPTIONS)
def test_the_seed_and_an_image_s_number_settle_everything(name):
    images = smooth(4)
    made = corrupt(images, name, 3, seed=1)
    np.testing.assert_array_equal(made, corrupt(images, name, 3, seed=1))
    np.testing.assert_array_equal(made[2:], corrupt(images[2:], name, 3, seed=1, first=2))
    settled = name in ("defocus_blur", "zoom_blur", "brightness", "contrast", "pixelate")
    settled |= name == "jpeg_compression"
    assert settled == np.array_equal(made, corrupt(images, name, 3, seed=2))


@pytest.mark.parametrize("name", CORRUPTIONS)
def test_damage_grows_with_severity(name):
    """The less images have in common with what they were: 1 - correlation."""
    images = smooth(40)
    damage = np.zeros(5)
    for k, severity in enumerate(SEVERITIES):
        made = corrupt(images, name, severity)
        pairs = zip(images.reshape(40, -1), made.reshape(40, -1), strict=True)
        damage[k] = np.mean([1 - np.corrcoef(one, other)[0, 1] for one, other in pairs])
    assert damage.min() > 0
    if name == "elastic_transform":  # from shifts of the whole to waves, which move less
        assert np.diff(damage).max() < 0
    elif name == "glass_blur":  # the last two have another round, and blur as the two before
        assert damage[3:].min() > 2 * damage[:3].max()
    elif name == "motion_blur":  # to the fourth only the streak's far end is longer
        assert np.diff(np.delete(damage, 3)).min() > 0
    else:
        assert np.diff(damage).min() > 0


@pytest.mark.parametrize("severity", SEVERITIES)
def test_noise_is_as_strong_as_published(severity):
    """Of middle grey, of which nothing is cut off."""
    grey = flat(128)
    deviation = 255 * CIFAR_10_C.values["gaussian_noise"][severity - 1]
    noisy = corrupt(grey, "gaussian_noise", severity)
    assert noisy.std() == pytest.approx(deviation, rel=0.02)
    assert noisy.mean() == pytest.approx(127.5, abs=0.5)  # cut off, not rounded

    photons = CIFAR_10_C.values["shot_noise"][severity - 1]
    counted = corrupt(grey, "shot_noise", severity)
    assert counted.std() == pytest.approx(255 * np.sqrt(128 / 255 / photons), rel=0.02)

    share = CIFAR_10_C.values["impulse_noise"][severity - 1]
    lost = corrupt(grey, "impulse_noise", severity)
    assert np.mean(lost == 0) == pytest.approx(share / 2, rel=0.1)
    assert np.mean(lost == 255) == pytest.approx(share / 2, rel=0.1)
    assert np.mean(lost == 128) == pytest.approx(1 - share, rel=0.01)


def test_a_known_image_s_mean_and_standard_deviation():
    """Half black, half white: mean 127.5, standard deviation 127.5."""
    image = np.zeros((1, 32, 32, 3), np.uint8)
    image[:, :, 16:] = 255
    for severity, share in zip(SEVERITIES, (0.75, 0.5, 0.4, 0.3, 0.15), strict=True):
        made = corrupt(image, "contrast", severity)
        assert made.mean() == pytest.approx(127.5, abs=1)
        assert made.std() == pytest.approx(127.5 * share, abs=1)
    for severity, more in zip(SEVERITIES, (0.05, 0.1, 0.15, 0.2, 0.3), strict=True):
        made = corrupt(image, "brightness", severity)
        assert made.mean() == pytest.approx(127.5 + 127.5 * more, abs=1)
        assert made.std() == pytest.approx(127.5 * (1 - more), abs=1)
    for severity, thickness in zip(SEVERITIES, (0.2, 0.5, 0.75, 1, 1.5), strict=True):
        made = corrupt(np.repeat(image, 40, axis=0), "fog", severity)
        # clouds are 0.5 in the mean
        assert made.std(axis=(0, 1)).mean() < 127.5
        black = 255 * 0.5 * thickness / (1 + thickness)
        assert made[:, :, :16].mean() == pytest.approx(black, rel=0.1)


@pytest.mark.parametrize(("weights", "severity"), [((1, 0.2), 1), ((0.75, 0.45), 5)])
def test_frost_is_a_weighted_sum(weights, severity):
    black, grey = (corrupt(flat(v), "frost", severity).astype(float) for v in (0, 100))
    np.testing.assert_allclose(grey - black, 100 * weights[0], atol=1.01)
    assert black.mean() == pytest.approx(
        255 * weights[1] * 0.55 * np.mean([0.88, 0.96, 1]), rel=0.1
    )


def test_brightness_is_hsv_s():
    image = RANDOM.integers(0, 256, (1, 6, 6, 3)).astype(np.uint8)
    image[0, 0, 0] = 0
    made = corrupt(image, "brightness", 3)[0] / 255
    for own, pixel in zip(made.reshape(-1, 3), image.reshape(-1, 3), strict=True):
        hue, saturation, value = colorsys.rgb_to_hsv(*(pixel / 255))
        expected = colorsys.hsv_to_rgb(hue, saturation, min(1, value + 0.15))
        np.testing.assert_allclose(own, expected, atol=1 / 255 + 1e-9)


def test_a_zoom_is_scipy_s():
    image = RANDOM.random((33, 20, 3))
    for factor in (1.0, 1.04, 1.3, 2.25):
        inner = [int(np.ceil(size / factor)) for size in (33, 20)]
        top, left = (33 - inner[0]) // 2, (20 - inner[1]) // 2
        cut = image[top : top + inner[0], left : left + inner[1]]
        large = ndimage.zoom(cut, (factor, factor, 1), order=1)
        top, left = (large.shape[0] - 33) // 2, (large.shape[1] - 20) // 2
        expected = large[top : top + 33, left : left + 20]
        np.testing.assert_allclose(zoomed(image, factor), expected, atol=1e-12)


def test_a_streak_is_half_a_gaussian():
    image = np.zeros((9, 15, 1))
    image[4, 12] = 1
    weights = np.exp(-(np.arange(7) ** 2) / 8)
    drawn = streaked(image, 3, 2, 0)[4, 12:5:-1, 0]
    np.testing.assert_allclose(drawn, weights / weights.sum())
    np.testing.assert_allclose(streaked(np.ones((4, 3, 1)), 10, 3, -75), 1)


def test_a_disk_out_of_focus():
    """A white point becomes a disk of radius 10 and its soft edge, of the same weight."""
    image = np.zeros((1, 224, 224, 1), np.uint8)
    image[0, 80:140, 80:140] = 255
    made = corrupt(image, "defocus_blur", 5).astype(float)
    assert made.sum() == pytest.approx(image.sum(dtype=float), rel=0.01)
    assert made[0, 110, 66] == 0 and made[0, 110, 71] > 0  # 80 - 10 - 2 is the last that it reaches
    rows = np.arange(-10, 11)
    inside = (rows**2 + rows[:, None] ** 2 <= 100).astype(float)
    column = inside.sum(axis=0) / inside.sum()
    # at the edge's own pixel all but the columns on the other side of it
    expected = 255 * column[10:].sum()
    assert made[0, 110, 80, 0] == pytest.approx(expected, abs=2)


@pytest.mark.parametrize("side", [8, 16, 20, 24, 28, 31, 46, 56, 64])
def test_each_severity_changes_images_of_any_size(side):
    """By more than a rounding: a disk below a pixel in radius used to be a single tap. Of 8 pixels
    streaks of a quarter pixel and zooms by less than a pixel do nothing."""
    image = RANDOM.integers(0, 256, (1, side, side, 3)).astype(np.uint8)
    unchanged = {
        (name, severity)
        for name in CORRUPTIONS
        for severity in SEVERITIES
        if np.abs(corrupt(image, name, severity).astype(int) - image).max() <= 1
    }
    assert unchanged == ({("motion_blur", 1), ("zoom_blur", 1)} if side == 8 else set())


@pytest.mark.parametrize("side", [16, 45])
def test_a_disk_s_taps_move_apart_with_the_size(side):
    """Severity 4 at 32 pixels is a cross of five equal taps. Of half the size each of the four lies
    between its pixel and the middle; of more, the cross is drawn out linearly."""
    scale, image = side / 32, np.zeros((1, side, side, 1), np.uint8)
    image[0, 8, 8] = 255
    distance = np.arange(-3, 4)
    taps = scale * np.arange(-1, 2)
    near = np.maximum(0, 1 - np.abs(distance[:, None] - taps) / max(1, scale))
    cross = near @ np.array([[0, 1, 0], [1, 1, 1], [0, 1, 0]]) @ near.T
    made = corrupt(image, "defocus_blur", 4)[0, 5:12, 5:12, 0]
    np.testing.assert_allclose(made, 255 * cross / cross.sum(), atol=1.01)
    if side == 16:
        np.testing.assert_allclose(made[3, 1:6] / 255, [0, 0.1, 0.6, 0.1, 0], atol=0.005)


def test_digital_damage_is_pillow_s():
    images = smooth(2)
    for image, quality, coarse in zip(
        images, corrupt(images, "jpeg_compression", 5), corrupt(images, "pixelate", 5), strict=True
    ):
        file = io.BytesIO()
        Image.fromarray(image).save(file, "JPEG", quality=40)
        np.testing.assert_array_equal(quality, np.asarray(Image.open(file)))
        small = Image.fromarray(image).resize((20, 20), Image.Resampling.BOX)
        box = small.resize((32, 32), Image.Resampling.BOX)
        np.testing.assert_array_equal(coarse, np.asarray(box))


def test_a_warp_moves_pixels_and_makes_none():
    """A ramp stays a ramp, however the corners move; a flat image stays as it is."""
    np.testing.assert_array_equal(corrupt(flat(77, n=3), "elastic_transform", 4), flat(77, n=3))
    ramp = np.broadcast_to(np.arange(100, 132, dtype=np.uint8)[:, None], (5, 32, 32))[..., None]
    made = corrupt(ramp, "elastic_transform", 1)[:, 12:20, 12:20, 0].astype(float)
    rows, columns = np.indices((8, 8))
    plane = np.column_stack([rows.ravel(), columns.ravel(), np.ones(64)])
    for own in made.reshape(5, -1):
        residual = np.linalg.lstsq(plane, own, rcond=None)[1]
        assert residual / 64 < 0.2


def test_glass_takes_pixels_from_near():
    """Severity 1 blurs hardly at all: every pixel is its own, or a neighbour's, above or left."""
    image = RANDOM.integers(0, 256, (1, 32, 32, 3)).astype(np.uint8)
    made = corrupt(image, "glass_blur", 1)[0]
    moved = 0
    for row, column in np.ndindex(30, 30):
        near = image[0, row + 1 : row + 3, column + 1 : column + 3].reshape(-1, 3)
        own = made[row + 2, column + 2]
        assert (np.abs(near.astype(int) - own).max(axis=1) <= 2).any()
        moved += np.abs(near[3].astype(int) - own).max() > 2
    assert moved > 500


def test_snow_falls_twice_and_whitens():
    made = corrupt(flat(0, n=20), "snow", 3).astype(float)
    black = 0.1 * 0.5 * 255
    assert made.min() >= np.floor(black) - 1 and made.mean() > black + 5
    flakes = made - made.min()
    np.testing.assert_allclose(flakes, flakes[:, ::-1, ::-1], atol=1.01)


@pytest.mark.parametrize("size", [(1, 1), (5, 9), (32, 32), (224, 100)])
def test_clouds_fill_any_size(size):
    found = clouds(*size, 2.0, np.random.default_rng(0))
    assert found.shape == size and found.min() >= 0 and found.max() <= 1


def test_what_cannot_be_corrupted_is_said():
    images = smooth(1)
    for given, told in (
        ((images / 255, "fog", 1), "float64 of shape .*; expected uint8"),
        ((images[..., :2], "fog", 1), "expected uint8"),
        ((images[:, :0], "fog", 1), "0 x 32 pixels"),
        ((images, "fogg", 1), "corruption 'fogg' is unknown; .* Did you mean 'fog'"),
        ((images, "fog", 0), "severity is 0; expected one of 1, 2, 3, 4, 5"),
        ((images, "fog", 2.5), "severity is 2.5"),
    ):
        with pytest.raises(UserError, match=told):
            corrupt(*given)
    with pytest.raises(UserError, match="seed is -1"):
        corrupt(images, "fog", 1, seed=-1)


def test_names_of_corruptions():
    assert corruptions_named("all") == list(CORRUPTIONS)
    assert corruptions_named("fog, snow") == ["snow", "fog"]
    with pytest.raises(UserError, match=r"--corruptions 'fig' is unknown; expected all, or some"):
        corruptions_named("fog,fig")
