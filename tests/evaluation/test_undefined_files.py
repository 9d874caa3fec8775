"""Deployed files whose answers turn NaN or infinite off the clean images: never robust, and never
class 0, whichever runtime computes them and whichever way they are asked."""

import json

import keras
import numpy as np
import pytest
from keras import ops
from small_onnx import write_small_onnx

from rnascl_keras.export.convert import write_saved_model
from rnascl_keras.models.saving import save_model

CLEAN, LIMIT = 127, 0.5
"""What every pixel is, of 255, and the brightness above which an answer is undefined."""
BASE = [10.0, 0.0, -1.0, -2.0, -3.0]
NAN = "h = Sqrt(up)"
INFINITE = "t = Mul(up, steep)\n d = Neg(t)\n h = Exp(d)"
"""In half precision infinite from a brightness of 0.506 on."""
NODES = """
  m = ReduceMax<keepdims=0>(x, axes)
  n = Unsqueeze(m, one)
  up = Sub(limit, n)
  {undefined}
  z = Add(h, base)
"""
KINDS = ("nan.onnx", "half_nan.onnx", "half_infinite.onnx", "nan.tflite", "nan.keras")


def write_onnx_file(path, kind, undefined):
    arrays = {"limit": [[LIMIT]], "steep": [[2000.0]], "base": [BASE]}
    arrays = {name: np.array(value, kind) for name, value in arrays.items()}
    axes = {"axes": np.array([1, 2, 3]), "one": np.array([1])}
    word = {"float32": "float", "float16": "float16"}[kind]
    ends = {"takes": f"{word}[N, 1, 8, 8] x", "gives": f"{word}[N, 5] z"}
    write_small_onnx(path, NODES.format(undefined=undefined), **ends, **arrays, **axes)


def keras_model():
    """The same; only class 0 is ever the largest logit, and argmax takes NaN for class 0."""
    images = keras.Input((8, 8, 1), name="images")
    hole = ops.sqrt(LIMIT - ops.max(images, axis=(1, 2, 3)))[:, None]
    base = keras.layers.Dense(5, name="base")
    model = keras.Model(images, base(keras.layers.Flatten()(images)) + hole, name="undefined")
    base.set_weights([np.zeros((64, 5)), np.array(BASE)])
    return model


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    import tensorflow as tf

    folder = tmp_path_factory.mktemp("undefined")
    write_onnx_file(folder / "nan.onnx", "float32", NAN)
    write_onnx_file(folder / "half_nan.onnx", "float16", NAN)
    write_onnx_file(folder / "half_infinite.onnx", "float16", INFINITE)
    save_model(keras_model(), folder / "nan.keras")
    write_saved_model(keras_model(), folder / "saved_model")
    converter = tf.lite.TFLiteConverter.from_saved_model(str(folder / "saved_model"))
    (folder / "nan.tflite").write_bytes(converter.convert())
    images = np.full((6, 8, 8, 1), CLEAN, np.uint8)
    np.savez(folder / "data.npz", x=images, y=np.zeros(6, int))
    return folder


def figures(rnascl, folder, name, *options):
    out = folder / "out.json"
    verb = ("evaluate", "attack")[not name.endswith(".keras")]
    engine = ("--engine", "onnxruntime") if name.endswith(".keras") else ()
    asked = ("--data", folder / "data.npz", "--n", 6, "--json", out, *engine, *options)
    result = rnascl(verb, folder / name, *asked)
    assert result.code in (None, 0), result.err
    return json.loads(out.read_text())


@pytest.mark.parametrize("name", KINDS)
def test_under_attack_and_under_corruptions(name, rnascl, folder):
    options = ("--attacks", "pgd,square,auto_attack", "--eps", "0.1")
    found = figures(rnascl, folder, name, *options, "--corruptions", "brightness")
    assert found["accuracy"] == {"clean": 1, "pgd20": 0, "square": 0, "auto_attack": 0, "worst": 0}
    for key, given in found["confusion"].items():
        assert np.sum(given) == (6 if key == "clean" else 0), key
    assert found["corrupted"]["accuracy"]["brightness"] == [0.0] * 5


@pytest.mark.parametrize(
    ("norm", "epsilon", "attacks"),
    [("L2", "0.5", "pgd,auto_attack"), ("L1", "4", "pgd,auto_attack"), ("L0", "3", "sparse_rs")],
)
def test_in_another_norm(norm, epsilon, attacks, rnascl, folder):
    options = ("--attacks", attacks, "--norm", norm, "--eps", epsilon)
    found = figures(rnascl, folder, "half_nan.onnx", *options)
    assert found["accuracy"].pop("clean") == 1
    assert not any(found["accuracy"].values()), found["accuracy"]
