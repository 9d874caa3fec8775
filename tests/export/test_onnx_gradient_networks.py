"""Whole networks: the gradient inside onnxruntime against TensorFlow's."""

from __future__ import annotations

import os
from pathlib import Path

import keras
import numpy as np
import onnx
import pytest
import tensorflow as tf
from onnx import checker

from rnascl_keras.export import OnnxClassifier, export_student
from rnascl_keras.export.onnx_gradient import input_gradient_model
from rnascl_keras.method.architecture import Architecture
from rnascl_keras.method.spaces import SPACES
from rnascl_keras.teachers import load_teacher

layers = keras.layers


def scattered(model: keras.Model) -> keras.Model:
    """Move the normalisation's values away from where they start."""
    random = np.random.default_rng(0)
    for layer in model.layers:
        if isinstance(layer, layers.BatchNormalization):
            shape = layer.gamma.shape
            values = [random.uniform(0.5, 1.5, shape), random.normal(0, 0.3, shape)]
            values += [random.normal(0, 0.1, shape), random.uniform(0.05, 0.5, shape)]
            layer.set_weights(values)
    return model


def student() -> keras.Model:
    """Of the CIFAR-10 space with the most kinds of blocks in little."""
    return scattered(Architecture(SPACES["S3"], ((16, 12, 16), (32, 20, 28), (52, 64, 56))).build())


def resnet20() -> keras.Model:
    """The published robust ResNet-20 for CIFAR-10."""
    folder = os.environ.get("RNASCL_TEACHERS_DIR")
    if not folder:
        pytest.skip("RNASCL_TEACHERS_DIR does not say where published weights are")
    path = Path(folder) / "ehanw_resnet20_pgd_cifar10.npz"
    return load_teacher(path, input_shape=(32, 32, 3), classes=10)


def pooled() -> keras.Model:
    """Every pool, activation and merge that the students do without."""
    images = layers.Input((17, 15, 3))
    x = layers.Conv2D(8, 5, strides=2, padding="same", activation="mish")(images)
    x = layers.MaxPooling2D(3, 2, padding="same")(x)
    y = layers.Conv2D(8, 3, dilation_rate=2, padding="same", activation="silu")(x)
    z = layers.SeparableConv2D(8, 3, padding="same", activation="elu")(x)
    gate = layers.Dense(8, activation="hard_sigmoid")(layers.GlobalAveragePooling2D()(y))
    y = layers.Multiply()([y, layers.Reshape((1, 1, 8))(gate)])
    x = layers.Concatenate()([layers.Maximum()([y, z]), layers.AveragePooling2D(3, 1, "same")(x)])
    x = layers.LayerNormalization()(layers.UpSampling2D(2, interpolation="bilinear")(x))
    x = layers.Conv2DTranspose(6, 3, strides=2, activation="relu6")(x)
    x = layers.Concatenate()([layers.GlobalMaxPooling2D()(x), layers.Flatten()(x)])
    return scattered(keras.Model(images, layers.Dense(5, activation="elu")(x)))


def by_tape(model: keras.Model, images: np.ndarray, labels: np.ndarray) -> np.ndarray:
    with tf.GradientTape() as tape:
        pixels = tf.constant(images)
        tape.watch(pixels)
        logits = model(pixels, training=False)
        loss = tf.nn.sparse_softmax_cross_entropy_with_logits(labels, logits)
    return tape.gradient(loss, pixels).numpy()


@pytest.mark.parametrize("build", [student, resnet20, pooled])
def test_the_gradient_is_tensorflows(build, tmp_path):
    keras.utils.set_random_seed(0)
    model = build()
    shape = model.input_shape[1:]
    images = np.random.default_rng(1).uniform(0, 1, (16, *shape)).astype(np.float32)
    exported = export_student(model, tmp_path, "m", images, tolerance=1e-3)
    check_made(exported.onnx_path)
    classifier = OnnxClassifier(exported.onnx_path)
    labels = np.arange(16) % model.output_shape[1]
    logits, loss, gradient = classifier.loss_and_gradient(images, labels)
    expected = by_tape(model, images, labels)
    assert np.abs(expected).max() > 0
    # (n, h, w, c) -> (n,), as a share of the image's largest
    largest = np.abs(expected).max(axis=(1, 2, 3))
    difference = np.abs(gradient - expected).max(axis=(1, 2, 3)) / largest
    # a rectifier whose input is within rounding of 0 can be on in one and off in the other
    assert np.mean(difference < 1e-5) >= 0.75
    assert difference.max() < 0.1
    np.testing.assert_allclose(logits, model(images, training=False), atol=1e-4)
    np.testing.assert_allclose(
        loss, keras.losses.sparse_categorical_crossentropy(labels, logits, True), atol=1e-4
    )


def check_made(path: Path) -> None:
    model = onnx.load(path)
    made = input_gradient_model(model)
    checker.check_model(made, full_check=True)
    assert made.ir_version <= 10
    assert all(o.version <= 21 for o in made.opset_import if o.domain == "")
    assert [i.name for i in made.graph.input] == ["images", "labels"]
    assert [o.name for o in made.graph.output] == ["logits", "loss", "gradient"]
