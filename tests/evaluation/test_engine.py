"""A Keras model attacked by onnxruntime: the same figures, or a refusal."""

from __future__ import annotations

import json

import keras
import numpy as np
import pytest
from brightness import LABELS, VALUES, brightness_model, uniform_images

from rnascl_keras.attacks.keras_classifier import KerasClassifier
from rnascl_keras.errors import UserError
from rnascl_keras.evaluation.engine import compared
from rnascl_keras.evaluation.facts import FileFacts

IMAGES = uniform_images(VALUES)
RANDOM = np.random.default_rng(4)


def small_network():
    keras.utils.set_random_seed(0)
    layers = [
        keras.Input((8, 8, 3)),
        keras.layers.Conv2D(6, 3, padding="same", activation="relu"),
        keras.layers.BatchNormalization(),
        keras.layers.GlobalAveragePooling2D(),
        keras.layers.Dense(4, activation="softmax"),
    ]
    return keras.Sequential(layers)


def test_both_engines_find_the_same(tmp_path, rnascl):
    small_network().save(tmp_path / "m.keras")
    x = RANDOM.random((40, 8, 8, 3)).astype(np.float32)
    np.savez(tmp_path / "d.npz", x=x, y=RANDOM.integers(0, 4, 40))
    command = ("evaluate", tmp_path / "m.keras", "--data", tmp_path / "d.npz", "--check", 0)
    command += ("--attacks", "fgsm", "--eps", "2/255", "--corruptions", "contrast,fog")
    told = {}
    for engine in ("keras", "onnxruntime"):
        out = tmp_path / f"{engine}.json"
        done = rnascl(*command, "--engine", engine, "--json", out)
        assert done.code == 0, done.err
        told[engine] = FileFacts.model_validate(json.loads(out.read_text()))
        assert told[engine].engine.name == engine
    one, other = told["keras"], told["onnxruntime"]
    assert one.accuracy == pytest.approx(other.accuracy, abs=1.01 / 40)
    assert one.corrupted.accuracy["fog"] == pytest.approx(
        other.corrupted.accuracy["fog"], abs=1.01 / 40
    )
    assert one.input == other.input == "attacked before its final softmax"
    assert one.engine.logits is None and 0 <= other.engine.logits < 1e-4
    assert 0 <= other.engine.gradients < 1e-2
    assert "onnxruntime computes; on the first images its logits differ" in done.out


class Exported:
    """A model's stand-in, which is not quite that."""

    def __init__(self, model, logits=0.0, turned=0.0):
        self.model, self.by, self.turned = KerasClassifier(model), logits, turned

    def logits(self, images):
        return self.model.logits(images) + self.by

    def logits_and_gradient(self, *asked):
        logits, gradient = self.model.logits_and_gradient(*asked)
        return logits, gradient * (1 + self.turned)


def test_what_differs_is_refused():
    model = brightness_model()
    given = (KerasClassifier(model), Exported(model), IMAGES, LABELS)
    assert compared(*given).logits == 0 and compared(*given).gradients == 0
    found = compared(given[0], Exported(model, 5e-5, 5e-3), IMAGES, LABELS)
    assert found.logits == pytest.approx(5e-5, rel=1e-2)
    assert found.gradients == pytest.approx(5e-3, rel=1e-2)
    for wrong in ({"logits": 1e-2}, {"turned": 0.1}, {"logits": np.nan}, {"turned": np.nan}):
        with pytest.raises(UserError, match="its export's logits differ by up to"):
            compared(given[0], Exported(model, **wrong), IMAGES, LABELS)


@pytest.mark.parametrize(
    ("by", "count", "refused"), [(0.05, 2, 0), (0.05, 3, 1), (np.nan, 1, 1), (-2, 1, 1)]
)
def test_units_that_rounding_turns_on_or_off_are_let_pass_in_few_images(by, count, refused):
    model, images, labels = brightness_model(), np.repeat(IMAGES[:1], 20, 0), np.zeros(20, int)
    turned = np.zeros((20, 1, 1, 1), np.float32)
    turned[:count] = by
    given = KerasClassifier(model), Exported(model, turned=turned), images, labels
    if refused:
        with pytest.raises(UserError, match="of nine images in ten"):
            compared(*given)
    else:
        assert compared(*given).gradients == pytest.approx(by, rel=1e-3)


def test_what_cannot_be_is_told(tmp_path, rnascl):
    images = keras.Input((3, 3, 1))
    half = keras.layers.Dense(2, dtype="mixed_float16")(keras.layers.Flatten()(images))
    keras.Model(images, keras.layers.Activation("linear", dtype="float32")(half)).save(
        tmp_path / "half.keras"
    )
    np.savez(tmp_path / "d.npz", x=IMAGES, y=LABELS)
    command = ("evaluate", tmp_path / "half.keras", "--data", tmp_path / "d.npz", "--engine")
    done = rnascl(*command, "onnxruntime")
    assert done.code == 2 and "--engine onnxruntime cannot take this model: " in done.err
    assert "only float32 is exported" in done.err and "leave it out, and Keras computes" in done.err
    done = rnascl(*command, "onnx")
    assert done.code == 2 and "--engine 'onnx' is unknown" in done.err
    done = rnascl(*command, "onnxruntime", "--strategy", "mirrored")
    assert done.code == 2 and "computes on this host's CPU" in done.err
    done = rnascl("evaluate", "digits", "--engine", "onnxruntime")
    assert done.code == 2 and "--engine is for a MODEL.keras" in done.err
