"""The central square of test images: with TensorFlow, without it, and where none is cut."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from rnascl_keras.data import load_test_data, pixels
from rnascl_keras.data.centre import read_centre
from rnascl_keras.data.transforms import read_image

RANDOM = np.random.default_rng(3)


def by_tensorflow(path, size):
    return read_image(tf.constant(str(path)), size, tf.zeros((0,)), 0).numpy()


@pytest.mark.parametrize("shape", [(40, 30, 3), (21, 64, 3), (16, 16, 3), (33, 47), (20, 28, 4)])
@pytest.mark.parametrize("size", [16, 50])
def test_pillow_and_tensorflow_read_a_png_alike(tmp_path, shape, size):
    path = tmp_path / "a.png"
    Image.fromarray(RANDOM.integers(0, 256, shape).astype(np.uint8)).save(path)
    np.testing.assert_allclose(read_centre(str(path), size), by_tensorflow(path, size), atol=1e-5)


def test_of_sixteen_bits_both_take_the_upper_eight(tmp_path):
    path = tmp_path / "a.png"
    Image.fromarray(RANDOM.integers(0, 2**16, (20, 30)).astype(np.uint16)).save(path)
    np.testing.assert_allclose(read_centre(str(path), 12), by_tensorflow(path, 12), atol=1e-5)


def test_a_jpeg_differs_by_a_few_grey_levels(tmp_path):
    path = tmp_path / "a.jpg"
    smooth = np.linspace(0, 255, 60)[:, None, None] * np.linspace(0, 1, 80)[:, None]
    Image.fromarray((smooth * [1.0, 0.5, 0.2]).astype(np.uint8)).save(path)
    assert np.abs(read_centre(str(path), 32) - by_tensorflow(path, 32)).mean() < 1 / 255


@pytest.mark.parametrize("installed", [True, False])
def test_a_folder_without_splits_is_tested_on_whole_and_uncut(tmp_path, monkeypatch, installed):
    if not installed:
        monkeypatch.setattr(pixels, "find_spec", lambda name: None)
    made = RANDOM.integers(0, 256, (6, 12, 12, 3)).astype(np.uint8)
    for k, image in enumerate(made):
        folder = tmp_path / "ab"[k % 2]
        folder.mkdir(exist_ok=True)
        Image.fromarray(image).save(folder / f"{k}.png")
    data = load_test_data(str(tmp_path), input_shape=(12, 12, 3))
    assert data.class_names == ("a", "b") and "unless it is 12 x 12" in data.preprocessing
    images, labels = data.first(6)
    assert set(labels) == {0, 1}
    found = {tuple((255 * image).round().astype(int).ravel()) for image in images}
    assert found == {tuple(image.ravel()) for image in made}
