"""What the export stage does besides writing students: it times the teacher, if that can be had."""

from __future__ import annotations

from types import SimpleNamespace

import keras
import numpy as np
import pytest
from keras import layers

from rnascl_keras.recipe import Export
from rnascl_keras.run.export_stage import _time_teacher, calibration_images

IMAGES = np.random.default_rng(0).random((12, 8, 8, 3), dtype=np.float32)


@pytest.fixture
def run(tmp_path):
    """A run with a teacher that begins with the given layers."""

    def make(*first):
        pixels = x = layers.Input((8, 8, 3))
        for layer in (*first, layers.Conv2D(4, 3), layers.GlobalAveragePooling2D()):
            x = layer(x)
        teacher, said = keras.Model(pixels, layers.Dense(2)(x)), []
        teacher.save(tmp_path / "teacher.keras")
        return SimpleNamespace(
            teacher=teacher, path=lambda name: tmp_path / name, say=said.append, said=said
        )

    return make


def test_the_teacher_is_timed_and_its_file_not_kept(run, tmp_path):
    here = run()
    figures = _time_teacher(here, IMAGES, np.zeros(10, int))
    assert set(figures) == {"bytes", "latency_ms"}
    assert figures["bytes"] > 4 * 3 * 9 * 4 and figures["latency_ms"]["one_thread"] > 0
    (line,) = here.said
    assert f"{figures['bytes']:,} bytes" in line and "of 10 test images" in line
    assert f"{(tmp_path / 'teacher.keras').stat().st_size:,} bytes" in line
    assert [path.name for path in tmp_path.iterdir()] == ["teacher.keras"]


def test_a_teacher_that_cannot_be_converted_is_passed_over_with_the_reason(run, tmp_path):
    here = run(layers.Normalization(mean=[0.5] * 3, variance=[0.1] * 3))
    assert _time_teacher(here, IMAGES, np.zeros(10, int)) is None
    (line,) = here.said
    assert "not timed as ONNX" in line and "Normalization" in line
    assert [path.name for path in tmp_path.iterdir()] == ["teacher.keras"]


def test_calibration_images_are_training_images_as_they_are_drawn_by_the_seed():
    from rnascl_keras.data import load_data

    data = load_data("digits")
    train = {image.tobytes() for image in data.train.first(len(data.train))[0]}

    def drawn(count, seed):
        recipe = SimpleNamespace(export=Export(calibration=count), seed=seed)
        return calibration_images(SimpleNamespace(recipe=recipe, data=data))

    images = drawn(300, 0)
    assert images.shape == (300, 8, 8, 1) and images.dtype == np.float32
    assert {image.tobytes() for image in images} <= train
    np.testing.assert_array_equal(images, drawn(300, 0))
    assert not np.array_equal(images, drawn(300, 1))
    assert len(drawn(10**6, 0)) == len(data.train)
