"""The exported student of a real space against its Keras model, on a thousand real images."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.datasets import load_digits

from rnascl_keras.architecture import Architecture
from rnascl_keras.export import OnnxClassifier, export_student
from rnascl_keras.spaces import SPACES


@pytest.fixture(scope="module")
def images() -> np.ndarray:
    small = load_digits().images[:1000, ..., None] / 16
    # (n, 8, 8, 1) -> (n, 32, 32, 3)
    return np.tile(small.repeat(4, axis=1).repeat(4, axis=2), 3).astype("float32")


def randomised_student(images: np.ndarray):
    """An S3 student of mixed widths, its batch normalisation as after some training, and its
    logits centred, so that it puts images into many classes."""
    widths = ((16, 12, 16), (32, 20, 28), (52, 64, 56))
    student = Architecture(SPACES["S3"], widths).build()
    random = np.random.default_rng(0)
    for layer in student.layers:
        if layer.name.endswith("_bn"):
            shape = layer.gamma.shape
            layer.set_weights(
                [
                    random.uniform(0.5, 1.5, shape),
                    random.normal(0, 0.3, shape),
                    random.normal(0, 0.1, shape),
                    random.uniform(0.05, 0.5, shape),
                ]
            )
    kernel, bias = student.get_layer("logits").get_weights()
    centre = student.predict(images, verbose=0).mean(axis=0)
    student.get_layer("logits").set_weights([kernel, bias - centre])
    return student


def test_onnx_agrees_with_keras_on_a_thousand_images(images, tmp_path):
    student = randomised_student(images)
    made = export_student(student, tmp_path, "student", images, tolerance=np.inf)
    expected = student.predict(images, verbose=0)
    # The claim is about logits of the usual size, and means nothing where all are alike.
    assert len(np.unique(expected.argmax(axis=1))) > 5
    logits = OnnxClassifier(made.onnx_path).logits(images)
    difference = np.abs(logits - expected).max() / max(1, np.abs(expected).max())
    assert difference <= 1e-4
    assert np.mean(logits.argmax(axis=1) == expected.argmax(axis=1)) >= 0.999
