"""The exported student of a real space against its Keras model, on a thousand real images."""

from __future__ import annotations

import collections
import dataclasses

import keras
import numpy as np
import onnx
import onnxruntime
import pytest
from sklearn.datasets import load_digits

from rnascl_keras.attacks.keras_classifier import KerasClassifier
from rnascl_keras.attacks.losses import log_odds
from rnascl_keras.export import OnnxClassifier, export_student
from rnascl_keras.export.litert.writing import export_litert
from rnascl_keras.export.quantise import quantise
from rnascl_keras.method.architecture import Architecture
from rnascl_keras.method.spaces import SPACES


@pytest.fixture(scope="module")
def images() -> np.ndarray:
    small = load_digits().images[:1000, ..., None] / 16
    # (n, 8, 8, 1) -> (n, 32, 32, 3)
    return np.tile(small.repeat(4, axis=1).repeat(4, axis=2), 3).astype("float32")


def randomised_student(images: np.ndarray, **changes):
    """An S3 student of mixed widths, its batch normalisation as after some training, and its
    logits centred, so that it puts images into many classes."""
    widths = ((16, 12, 16), (32, 20, 28), (52, 64, 56))
    keras.utils.set_random_seed(0)
    student = Architecture(dataclasses.replace(SPACES["S3"], **changes), widths).build()
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


@pytest.fixture(scope="module")
def exported(images, tmp_path_factory):
    """The student of the paper's own blocks, and what its export left."""
    student = randomised_student(images)
    folder = tmp_path_factory.mktemp("exported")
    return student, export_student(student, folder, "student", images, tolerance=np.inf)


def operators(path) -> collections.Counter:
    return collections.Counter(node.op_type for node in onnx.load(path).graph.node)


def test_every_batch_normalisation_is_folded_into_its_convolution(exported):
    """Also that of the depthwise convolutions, which the converter leaves as a product and a sum,
    and though every statistic is far from that of a fresh model."""
    student, made = exported
    found = operators(made.onnx_path)
    kinds = keras.layers.Conv2D, keras.layers.DepthwiseConv2D
    convolutions = [layer for layer in student.layers if isinstance(layer, kinds)]
    assert len(convolutions) == 1 + 9 * 3 and found["Conv"] == len(convolutions)
    additions = [layer for layer in student.layers if isinstance(layer, keras.layers.Add)]
    assert found["Add"] == len(additions)
    assert not found.keys() & {"BatchNormalization", "Mul", "Sub", "Div", "Sqrt"}
    standard = [opset.domain for opset in onnx.load(made.onnx_path).opset_import]
    assert standard == [""]


def test_its_int8_file_runs_in_bytes_from_image_to_pooling(images, exported, tmp_path):
    made = exported[1]
    int8 = quantise(made.onnx_path, tmp_path / "int8.onnx", images[:200], least_agreement=0.0)
    # What onnxruntime makes of it: a float convolution would have been left as Conv.
    options = onnxruntime.SessionOptions()
    options.optimized_model_filepath = str(tmp_path / "optimised.onnx")
    options.log_severity_level = 3
    onnxruntime.InferenceSession(int8.path, options)
    assert (
        operators(tmp_path / "optimised.onnx")["QLinearConv"] == operators(made.onnx_path)["Conv"]
    )
    assert "Conv" not in operators(tmp_path / "optimised.onnx")
    assert int8.bytes < made.bytes / 2.5


def test_onnx_agrees_with_keras_on_a_thousand_images(images, exported):
    student, made = exported
    expected = student.predict(images, verbose=0)
    # The claim is about logits of the usual size, and means nothing where all are alike.
    assert len(np.unique(expected.argmax(axis=1))) > 5
    logits = OnnxClassifier(made.onnx_path).logits(images)
    difference = np.abs(logits - expected).max() / max(1, np.abs(expected).max())
    assert difference <= 1e-4
    assert np.mean(logits.argmax(axis=1) == expected.argmax(axis=1)) >= 0.999


@pytest.mark.parametrize(("activation", "squeeze"), [("silu", 0.25), ("hard_swish", None)])
def test_other_activations_and_squeezing_go_to_onnx_and_int8(images, tmp_path, activation, squeeze):
    """The same logits, the same input gradients, and logits in bytes that are near."""
    student = randomised_student(images, activation=activation, squeeze_excite=squeeze)
    made = export_student(student, tmp_path, "student", images[:50], tolerance=np.inf)
    few, labels = images[:8], np.arange(8)
    file, model = OnnxClassifier(made.onnx_path), KerasClassifier(student)
    np.testing.assert_allclose(file.logits(few), model.logits(few), rtol=1e-3, atol=1e-3)
    (_, ours), (_, theirs) = (
        x.logits_and_gradient(few, log_odds, labels, labels) for x in (file, model)
    )
    apart = np.linalg.norm((ours - theirs).reshape(8, -1), axis=1)
    assert np.all(apart < 1e-3 * np.linalg.norm(theirs.reshape(8, -1), axis=1))
    int8 = quantise(made.onnx_path, tmp_path / "int8.onnx", images[:200], least_agreement=0.0)
    assert int8.max_abs_difference < 0.1  # of an untrained student the classes lie close together


def test_a_folder_may_have_brackets_in_its_name(images, tmp_path):
    """TensorFlow reads a SavedModel's variables by a pattern."""
    folder = tmp_path / "runs [1]"
    student = keras.Sequential(
        [keras.Input((32, 32, 3)), keras.layers.Flatten(), keras.layers.Dense(4)]
    )
    made = export_student(student, folder, "student", images[:20])
    floats, _ = export_litert(
        student,
        folder,
        "student",
        images[:20],
        images[:20],
        saved_model=made.saved_model_path,
        least_agreement=0,
    )
    assert made.agreement == 1 and floats.agreement == 1
