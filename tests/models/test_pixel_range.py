"""A model made for pixels from 0 to 255 is refused where it would be given pixels from 0 to 1."""

from __future__ import annotations

import keras
import numpy as np
import pytest
from keras import layers

from rnascl_keras.errors import UserError
from rnascl_keras.models.classifiers import check_classifier
from rnascl_keras.models.pixel_range import check_unit_pixels

SHAPE = (8, 8, 3)
MEAN = np.float32([103, 116, 123])


def _network(*front: keras.Layer) -> keras.Sequential:
    return keras.Sequential([keras.Input(SHAPE), *front, layers.Conv2D(2, 3), *_head()])


def _head() -> list[keras.Layer]:
    return [layers.GlobalAveragePooling2D(), layers.Dense(4)]


def _behind(scale) -> keras.Model:
    """Return a network whose pixels go through a function of tensors."""
    images = keras.Input(SHAPE)
    logits = scale(images)
    for layer in (layers.Conv2D(2, 3), *_head()):
        logits = layer(logits)
    return keras.Model(images, logits)


def _normalised(mean: float, deviation: float) -> layers.Normalization:
    return layers.Normalization(mean=[mean] * 3, variance=[deviation**2] * 3)


def _fitted_norm(mean: float, deviation: float) -> keras.Sequential:
    model = _network(layers.BatchNormalization())
    model.layers[0].moving_mean.assign([mean] * 3)
    model.layers[0].moving_variance.assign([deviation**2] * 3)
    return model


def _within(model: keras.Model, *front: keras.Layer) -> keras.Sequential:
    return keras.Sequential([keras.Input(SHAPE), *front, model])


FOR_BYTES = {
    "Rescaling": lambda: _network(layers.Rescaling(1 / 255)),
    "Rescaling to -1": lambda: _network(layers.Rescaling(1 / 127.5, -1)),
    "Normalization": lambda: _network(_normalised(120, 60)),
    "batch normalisation": lambda: _fitted_norm(120, 60),
    "behind augmentation": lambda: _network(
        layers.RandomFlip(), layers.ZeroPadding2D(1), layers.Rescaling(1 / 255)
    ),
    "operations": lambda: _behind(lambda x: x / 127.5 - 1),
    "a mean taken off": lambda: _behind(lambda x: x[..., ::-1] - MEAN),
    "a model within": lambda: _within(_network(layers.Rescaling(1 / 255))),
    "a model of scaling": lambda: _within(
        _network(), keras.Sequential([keras.Input(SHAPE), layers.Rescaling(1 / 255)])
    ),
}
FOR_UNITS = {
    "nothing in front": _network,
    "from -1 to 1": lambda: _network(layers.Rescaling(2, -1)),
    "ImageNet's mean and deviation": lambda: _network(_normalised(0.45, 0.22)),
    "a new batch normalisation": lambda: _network(layers.BatchNormalization()),
    "augmentation": lambda: _network(layers.RandomFlip(), layers.RandomCrop(6, 6)),
    "one for bytes, behind what makes them": lambda: _within(
        _network(layers.Rescaling(1 / 255)), layers.Rescaling(255.0)
    ),
    "two branches": lambda: _behind(lambda x: layers.Concatenate()([x, x / 255])),
}


@pytest.mark.parametrize("made", FOR_BYTES.values(), ids=FOR_BYTES)
def test_a_model_for_bytes_is_refused(made):
    with pytest.raises(UserError, match=r"the teacher, .*0 to 255.*Rescaling\(255\)"):
        check_classifier(made(), "the teacher")


@pytest.mark.parametrize("made", FOR_UNITS.values(), ids=FOR_UNITS)
def test_a_model_for_pixels_from_0_to_1_is_taken(made):
    check_classifier(made(), "the teacher")


def test_the_range_that_is_told_is_the_one_that_arrives():
    with pytest.raises(UserError, match=r"into \[-1, -0\.9922\]"):
        check_unit_pixels(_network(layers.Rescaling(1 / 127.5, -1)), "it")


def test_the_network_that_the_message_asks_for_is_taken_and_says_the_same():
    model = _network(layers.Rescaling(1 / 255))
    mended = keras.Sequential([keras.Input(SHAPE), layers.Rescaling(255.0), model])

    check_classifier(mended, "it")

    pixels = np.random.default_rng(0).integers(0, 256, (2, *SHAPE)).astype(np.float32)
    np.testing.assert_allclose(mended(pixels / 255), model(pixels), atol=1e-5)
