"""A softmax or sigmoid at the end is seen through; what does not fit is refused in one line."""

from __future__ import annotations

import json

import keras
import numpy as np
import pytest
from brightness import LABELS, VALUES, brightness_model, uniform_images
from sample_images import save_images

from rnascl_keras.errors import UserError
from rnascl_keras.evaluation.evaluate import evaluate
from rnascl_keras.evaluation.keras_file import evaluate_file
from rnascl_keras.evaluation.request import Request
from rnascl_keras.export.class_names import stated_class_names
from rnascl_keras.export.convert import write_onnx

IMAGES = uniform_images(VALUES)


def ending_in(kind, slope):
    plain = brightness_model(slope=slope)
    with_layer = keras.Model(plain.input, keras.layers.Activation("sigmoid")(plain.output))
    return {
        "softmax": brightness_model("softmax", slope),
        "log-softmax": brightness_model("log_softmax", slope),
        "sigmoid": brightness_model("sigmoid", slope),
        "nested sigmoid": keras.Sequential([keras.Input((3, 3, 1)), with_layer]),
    }[kind]


@pytest.mark.parametrize("kind", ["softmax", "log-softmax", "sigmoid", "nested sigmoid"])
def test_a_function_at_the_end_does_not_hide_the_gradient(kind, capsys):
    # with this slope probabilities are exactly 0 and 1 in float32, and so is their gradient
    model = ending_in(kind, 1e4)
    result, _ = evaluate(model, IMAGES, LABELS, attacks=("fgsm",), epsilon=0.1, check=0)
    assert result.accuracy["fgsm"] == pytest.approx(3 / 6)
    told = f"The model: attacked before its final {kind.removeprefix('nested ')}.\n"
    assert told in capsys.readouterr().err


@pytest.mark.parametrize("activation", [None, "sigmoid"])
def test_one_output_tells_two_classes_apart(activation, capsys):
    images = keras.Input((3, 3, 1))
    dense = keras.layers.Dense(1, activation=activation)
    model = keras.Model(images, dense(keras.layers.GlobalAveragePooling2D()(images)))
    dense.set_weights([np.array([[1e4]]), np.array([-5e3])])
    result, _ = evaluate(model, IMAGES, LABELS, attacks=("fgsm",), epsilon=0.1, check=0)
    assert result.accuracy == pytest.approx({"clean": 5 / 6, "fgsm": 3 / 6, "worst": 3 / 6})
    assert "one output z: classes 0 and 1 with logits (0, z)." in capsys.readouterr().err
    with pytest.raises(UserError, match="labels range from 1 to 2; the model has 2 outputs"):
        evaluate(model, IMAGES, LABELS + 1, progress=False)


def test_what_is_said_of_a_file(tmp_path, capsys):
    np.savez(tmp_path / "data.npz", x=IMAGES, y=LABELS)
    ending_in("sigmoid", 1.0).save(tmp_path / "model.keras")
    request = Request(str(tmp_path / "data.npz"), None, ("fgsm",), 0.1, 6, 0, check=0)
    evaluate_file(tmp_path / "model.keras", request)
    assert "model.keras: attacked before its final sigmoid\n" in capsys.readouterr().out


class Subclassed(keras.Model):
    """A model whose graph Keras does not know."""

    def __init__(self, activation):
        super().__init__()
        self.inner = brightness_model(activation)

    def call(self, x):
        return self.inner(x)


@pytest.mark.parametrize("activation", ["softmax", "sigmoid"])
def test_a_function_that_cannot_be_left_out_is_refused(activation):
    with pytest.raises(UserError, match=f"gives probabilities, by a {activation} at its end"):
        evaluate(Subclassed(activation), IMAGES, LABELS, progress=False)


def test_a_subclassed_model_of_logits_is_evaluated():
    result, _ = evaluate(
        Subclassed(None), IMAGES, LABELS, attacks=("fgsm",), epsilon=0.1, check=0, progress=False
    )
    assert result.accuracy["fgsm"] == pytest.approx(3 / 6)


@pytest.mark.parametrize(
    ("images", "labels", "settings", "message"),
    [
        (IMAGES * 255, LABELS, {}, "pixels range from .* expected \\[0, 1\\]"),
        (np.full_like(IMAGES, np.nan), LABELS, {}, "pixels are NaN or infinite"),
        (IMAGES[..., 0], LABELS, {}, "images have shape"),
        (IMAGES[:0], LABELS[:0], {}, "n at least 1"),
        (IMAGES[:, :2], LABELS, {}, "model takes images of shape .*3, 3, 1"),
        (IMAGES, LABELS[:4], {}, "one integer for each of the 6 images"),
        (IMAGES, LABELS.astype(float), {}, "labels are float64"),
        (IMAGES, LABELS + 1, {}, "labels range from 1 to 2; the model has 2 outputs"),
        (IMAGES, LABELS - 1, {}, "labels range from -1"),
        (IMAGES, LABELS, {"seed": -1}, "seed is -1"),
        (IMAGES, LABELS, {"attacks": ("pdg",)}, "Did you mean 'pgd'"),
        (IMAGES, LABELS, {"epsilon": 8.0}, "epsilon is 8.0"),
        (IMAGES, LABELS, {"epsilon": "8/255"}, "epsilon is '8/255'; expected for Linf"),
        (IMAGES, LABELS, {"seed": 1.5}, "seed is 1.5; expected an integer of at least 0"),
        (IMAGES, LABELS, {"batch_size": 0}, "batch_size is 0; expected an integer of at least 1"),
        (IMAGES, LABELS, {"check": -5}, "check is -5; expected an integer of at least 0"),
    ],
)
def test_what_does_not_fit_is_said_in_one_line(images, labels, settings, message):
    with pytest.raises(UserError, match=message) as caught:
        evaluate(brightness_model(), images, labels, progress=False, **settings)
    assert "\n" not in str(caught.value)


def test_a_model_that_does_not_classify_is_refused():
    images = keras.Input((3, 3, 1))
    with pytest.raises(UserError, match="only classifiers"):
        evaluate(keras.Model(images, images + 1), IMAGES, LABELS, progress=False)


def test_undefined_logits_are_refused():
    model = brightness_model()
    model.set_weights([np.full(weight.shape, np.nan) for weight in model.get_weights()])
    with pytest.raises(UserError, match="NaN"):
        evaluate(model, IMAGES, LABELS, progress=False)


@pytest.mark.parametrize("command", ["evaluate", "attack"])
def test_a_folder_without_one_of_the_classes_is_refused(command, tmp_path, rnascl):
    """Each class behind it would count as another's; an empty folder keeps its place."""
    model, forms = brightness_classes(3), {"evaluate": "m.keras", "attack": "m.onnx"}
    model.save(tmp_path / "m.keras")
    write_onnx(model, tmp_path / "m.onnx")
    for name in ("a", "c"):
        save_images(tmp_path / "data" / name, 4, "PNG")
    options = (command, tmp_path / forms[command], "--data", f"{tmp_path}/data")
    options += ("--attacks", "fgsm", "--check", 0)
    done = rnascl(*options)
    assert done.code == 2 and "3 outputs, the data 2 class folders (a, c): which" in done.err
    (tmp_path / "data" / "b").mkdir()
    done = rnascl(*options)
    assert done.code == 0, done.err
    (tmp_path / "data" / "aa").mkdir()
    done = rnascl(*options)
    assert done.code == 2 and "4 class folders (a, aa, b, c): which" in done.err
    assert "Leave no folder but one for each class" in done.err


def test_a_folder_whose_classes_are_not_the_file_s_is_refused(tmp_path, rnascl):
    """Its metadata name them; a folder with one renamed would shift all between."""
    names = {"class_names": json.dumps(["cat", "dog", "truck"])}
    write_onnx(brightness_classes(3), tmp_path / "m.onnx", names)
    for name in ("cat", "dog", "lorry"):
        save_images(tmp_path / "data" / name, 4, "PNG")
    options = ("attack", tmp_path / "m.onnx", "--data", f"{tmp_path}/data")
    options += ("--attacks", "fgsm", "--check", 0)
    done = rnascl(*options)
    assert done.code == 2 and "the first that differs is number 2: 'truck', 'lorry'" in done.err
    for k, name in enumerate(("cat", "dog", "lorry")):
        (tmp_path / "data" / name).rename(tmp_path / "data" / str(k))
    done = rnascl(*options)
    assert done.code == 0, done.err


@pytest.mark.parametrize("stated", ["[", "5", "[1]", "[" * 10_000, "{}"])
def test_other_words_under_that_name_name_no_classes(stated):
    assert stated_class_names({"class_names": stated}) == ()
    assert stated_class_names({"class_names": '["a", "b"]'}) == ("a", "b")


def brightness_classes(classes):
    images = keras.Input((8, 8, 3))
    features = keras.layers.GlobalAveragePooling2D()(images)
    return keras.Model(images, keras.layers.Dense(classes)(features))
