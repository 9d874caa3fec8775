"""Models that leave the height and width of their images open, by `attack` and by `evaluate`."""

from __future__ import annotations

import json

import keras
import numpy as np
import pytest
from onnx import numpy_helper, parser, save

SHAPE, N, EPSILON = (6, 5, 3), 40, 0.02
RNG = np.random.default_rng(0)
IMAGES = RNG.uniform(0.1, 0.9, (N, *SHAPE)).astype(np.float32)
WEIGHT = np.float32([[3, -1], [-2, 1], [0.5, -1]])
BIAS = -(IMAGES.mean(axis=(1, 2)) @ WEIGHT).mean(axis=0)
LABELS = (IMAGES.mean(axis=(1, 2)) @ WEIGHT + BIAS).argmax(axis=1)


def robust_by_hand():
    """Two logits of the channels' means: every pixel of a channel goes the same way."""
    towards = np.sign(WEIGHT[:, 1] - WEIGHT[:, 0]) * np.where(LABELS == 0, 1, -1)[:, None]
    worst = IMAGES + EPSILON * towards[:, None, None]
    return np.mean((worst.mean(axis=(1, 2)) @ WEIGHT + BIAS).argmax(axis=1) == LABELS)


def onnx_file(path):
    model = parser.parse_model(
        '<ir_version: 8, opset_import: ["": 17]> g (float[n, h, w, 3] x) => (float[n, 2] z) '
        "{ m = ReduceMean<axes=[1, 2], keepdims=0>(x) z = Gemm(m, weight, bias) }"
    )
    for name, value in (("weight", WEIGHT), ("bias", BIAS)):
        model.graph.initializer.append(numpy_helper.from_array(value.astype(np.float32), name))
    save(model, path)
    return path


def keras_file(path):
    images = keras.Input((None, None, 3))
    dense = keras.layers.Dense(2)
    keras.Model(images, dense(keras.layers.GlobalAveragePooling2D()(images))).save(path)
    model = keras.models.load_model(path)
    model.layers[-1].set_weights([WEIGHT, BIAS])
    model.save(path)
    return path


MODELS = {"attack": ("model.onnx", onnx_file), "evaluate": ("model.keras", keras_file)}


@pytest.mark.parametrize("command", MODELS)
def test_figures_are_those_by_hand(command, rnascl, tmp_path):
    name, write = MODELS[command]
    model, out = write(tmp_path / name), tmp_path / "out.json"
    np.savez(tmp_path / "images.npz", x=IMAGES, y=LABELS)
    options = ("--data", tmp_path / "images.npz", "--eps", EPSILON, "--attacks", "fgsm,pgd")
    result = rnascl(command, model, *options, "--check", 5, "--json", out)
    assert result.code == 0, result.err
    accuracy = json.loads(out.read_text())["accuracy"]
    assert 0.1 < robust_by_hand() < 0.95
    assert accuracy["clean"] == 1
    assert accuracy["fgsm"] == accuracy["pgd20"] == pytest.approx(robust_by_hand())


@pytest.mark.parametrize("command", MODELS)
def test_images_of_other_channels_are_refused(command, rnascl, tmp_path):
    name, write = MODELS[command]
    model = write(tmp_path / name)
    np.savez(tmp_path / "grey.npz", x=IMAGES[..., :1], y=LABELS)
    result = rnascl(command, model, "--data", tmp_path / "grey.npz")
    assert result.code == 2
    assert "6 x 5 x 1, but any x any x 3 is wanted" in result.err
