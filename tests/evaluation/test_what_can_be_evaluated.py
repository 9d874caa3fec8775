"""A softmax at the end is seen through; what does not fit is refused in one line."""

from __future__ import annotations

import keras
import numpy as np
import pytest
from brightness import LABELS, VALUES, brightness_model, uniform_images

from rnascl_keras.errors import UserError
from rnascl_keras.evaluation.evaluate import evaluate
from rnascl_keras.models.logits import logits_model

IMAGES = uniform_images(VALUES)


def softmax_models(slope):
    plain = brightness_model(slope=slope)
    with_activation = keras.layers.Activation("softmax")(plain.output)
    with_softmax = keras.layers.Softmax()(plain.output)
    sequential = keras.Sequential([keras.Input((3, 3, 1)), *plain.layers[1:]])
    sequential.add(keras.layers.Activation("softmax"))
    return {
        "dense": brightness_model("softmax", slope),
        "activation": keras.Model(plain.input, with_activation),
        "layer": keras.Model(plain.input, with_softmax),
        "sequential": sequential,
    }


@pytest.mark.parametrize("kind", ["dense", "activation", "layer", "sequential"])
def test_a_softmax_at_the_end_does_not_hide_the_gradient(kind, capsys):
    # with this slope probabilities are exactly 0 and 1 in float32, and so is their gradient
    images, plain = uniform_images(VALUES), brightness_model(slope=1e4)
    model = softmax_models(1e4)[kind]
    np.testing.assert_allclose(logits_model(model)(images), plain(images), rtol=1e-6)
    result, _ = evaluate(model, images, LABELS, attacks=("fgsm",), epsilon=0.1, check=0)
    assert result.accuracy["fgsm"] == pytest.approx(3 / 6)
    assert "softmax" in capsys.readouterr().err


def test_a_model_of_logits_is_left_alone():
    model = brightness_model()
    assert logits_model(model) is model


def test_a_softmax_elsewhere_is_refused():
    inner = brightness_model("softmax")
    model = keras.Model(inner.input, keras.layers.Reshape((2,))(inner.output))
    with pytest.raises(UserError, match="gives probabilities"):
        evaluate(model, uniform_images(VALUES), LABELS, progress=False)


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
