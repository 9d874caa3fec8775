"""Attacks on an ONNX file in onnxruntime find what they find on the same weights in Keras."""

from __future__ import annotations

import keras
import pytest
from published import cifar10, in_keras

from rnascl_keras.evaluation.evaluate import evaluate
from rnascl_keras.export import OnnxClassifier, export_student

EPSILON = 8 / 255
POINTS = 0.005


def exported(name: str, folder) -> tuple[keras.Model, OnnxClassifier]:
    """A published network, and its file."""
    model = in_keras(name)
    images, _ = cifar10(16)
    return model, OnnxClassifier(export_student(model, folder, name, images).onnx_path)


def accuracies(model, attack: str, count: int) -> dict[str, float]:
    images, labels = cifar10(count)
    settings = {"attacks": (attack,), "epsilon": EPSILON, "check": 0, "progress": False}
    return evaluate(model, images, labels, **settings)[0].accuracy


def assert_agree(name: str, attack: str, count: int, folder, record_property) -> None:
    model, file = exported(name, folder)
    expected, found = (accuracies(each, attack, count) for each in (model, file))
    for key in expected:
        record_property(key, (found[key], expected[key]))
        assert found[key] == pytest.approx(expected[key], abs=POINTS)
    assert expected["worst"] < expected["clean"]


@pytest.mark.slow
@pytest.mark.parametrize("name", ["resnet20", "resnet4b"])
def test_pgd_agrees(name, tmp_path, record_property):
    assert_agree(name, "pgd", 500, tmp_path, record_property)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["resnet20", "resnet4b"])
def test_auto_attack_agrees(name, tmp_path, record_property):
    assert_agree(name, "auto_attack", 500, tmp_path, record_property)
