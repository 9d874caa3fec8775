"""A Keras model as attacks see it: its gradient, compiled once, in batches of any size."""

import keras
import numpy as np
import pytest
from classifiers import CLASSES, SHAPE, images_of
from numpy_attacks import REFERENCES

from rnascl_keras.attacks import FGSM, losses, make_attack
from rnascl_keras.attacks.keras_classifier import IN_INFERENCE, KerasClassifier
from rnascl_keras.attacks.mixing import EACH_ALONE
from rnascl_keras.errors import UserError
from rnascl_keras.evaluation.evaluate import evaluate
from rnascl_keras.evaluation.sweep import sweep_radii

IMAGES = images_of()


def small_model():
    keras.utils.set_random_seed(0)
    return keras.Sequential(
        [
            keras.Input(SHAPE),
            keras.layers.Conv2D(6, 3, activation="relu"),
            keras.layers.BatchNormalization(),
            keras.layers.Flatten(),
            keras.layers.Dense(CLASSES),
        ]
    )


def test_a_keras_model_gives_its_gradient():
    model, images = small_model(), IMAGES.astype("f4")
    labels, targets = np.arange(12) % CLASSES, (np.arange(12) + 1) % CLASSES
    classifier = KerasClassifier(model)
    for loss in (losses.log_odds, losses.margin, losses.dlr, losses.targeted_dlr):
        logits, found = classifier.logits_and_gradient(images, loss, labels, targets)
        np.testing.assert_allclose(logits, model(images), atol=1e-6)
        direction = np.random.default_rng(0).normal(size=images.shape).astype("f4")
        ends = [classifier.logits(images + sign * 1e-3 * direction) for sign in (1, -1)]
        values = [loss(np, end.astype(float), labels, targets)[0] for end in ends]
        slope = (values[0] - values[1]) / 2e-3
        np.testing.assert_allclose((found * direction).sum((1, 2, 3)), slope, atol=0.02)


def test_a_wrapped_model_is_compiled_once_and_sees_changed_weights():
    traces = []

    class Traced(keras.layers.Layer):
        def call(self, x):
            traces.append(tuple(x.shape))
            return x

    inputs = keras.Input(SHAPE)
    features = keras.layers.Flatten()(Traced()(inputs))
    model = keras.Model(inputs, keras.layers.Dense(CLASSES)(features))
    images, classifier = IMAGES.astype("f4"), KerasClassifier(model)
    traces.clear()
    labels = classifier.logits(images).argmax(1)
    before = FGSM(0.1).perturb(classifier, images, labels, batch_size=4)
    assert traces == [(None, *SHAPE)] * 2  # logits, and logits with gradient
    model.set_weights([-weights for weights in model.get_weights()])
    after = FGSM(0.1).perturb(classifier, images, classifier.logits(images).argmax(1), batch_size=5)
    assert len(traces) == 2
    assert np.mean(before != after) > 0.3


@pytest.mark.parametrize("name", REFERENCES)
def test_a_keras_model_falls_in_any_batch_size(name):
    model, images = small_model(), IMAGES.astype("f4")
    labels = np.asarray(model(images)).argmax(1)
    weights = model.get_weights()
    whole = make_attack(name, 0.1).perturb(model, images, labels, seed=3)
    assert whole.dtype == np.float32
    for size in (1, 5):
        parts = make_attack(name, 0.1).perturb(model, images, labels, seed=3, batch_size=size)
        np.testing.assert_allclose(parts, whole, rtol=0, atol=1e-6)
    assert np.mean(np.asarray(model(whole)).argmax(1) != labels) > 0.3
    for old, new in zip(weights, model.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)


class Mixed(keras.layers.Layer):
    """Takes away what the images of a batch have in common."""

    def call(self, x):
        return x - 0.9 * keras.ops.mean(x, axis=0, keepdims=True)


class Random(keras.layers.Layer):
    def call(self, x):
        return x + keras.random.normal(keras.ops.shape(x))


def by_fours():
    """Return a layer that takes four images and no other number."""
    return keras.layers.Lambda(lambda x: keras.ops.reshape(x, (4, -1)))


def linear_model(*layers, shape=(None, *SHAPE)):
    keras.utils.set_random_seed(1)
    images = keras.Input(batch_shape=shape)
    x = images
    for layer in (*layers, keras.layers.Flatten(), keras.layers.Dense(CLASSES)):
        x = layer(x)
    return keras.Model(images, x)


def test_a_model_that_mixes_the_images_of_a_batch_is_asked_about_each_alone_by_whatever_asks():
    model, images = linear_model(Mixed()), IMAGES.astype("f4")
    alone = np.concatenate([model(image[None]) for image in images])
    assert np.abs(alone - model(images)).max() > 0.05
    classifier = KerasClassifier(model)
    np.testing.assert_allclose(classifier.logits(images), alone, atol=1e-6)
    assert classifier.remarks == [EACH_ALONE]
    labels = alone.argmax(1)
    radii = sweep_radii(model, images, labels, radii=[0.0], attacks=["fgsm"], progress=False)
    assert radii.accuracy["fgsm"] == [1.0]
    of_four = KerasClassifier(linear_model(Mixed(), shape=(4, *SHAPE)))
    np.testing.assert_allclose(of_four.logits(images), alone, atol=1e-6)  # it takes others, too
    with pytest.raises(UserError, match="beside it in its batch of 4; build it for batches of any"):
        KerasClassifier(linear_model(Mixed(), by_fours(), shape=(4, *SHAPE))).logits(images)


def test_it_is_said_that_a_model_answers_at_random():
    classifier = KerasClassifier(linear_model(Random()))
    classifier.logits(IMAGES.astype("f4"))
    (remark,) = classifier.remarks
    assert remark.startswith("answers at random")


def test_a_model_of_batches_of_one_size_is_asked_in_such():
    """Also for more images, and for fewer."""
    model, images = linear_model(by_fours(), shape=(4, *SHAPE)), IMAGES.astype("f4")
    expected = np.concatenate([model(images[k : k + 4]) for k in range(0, 12, 4)])
    classifier = KerasClassifier(model)
    for count in (1, 4, 7, 12):
        np.testing.assert_allclose(classifier.logits(images[:count]), expected[:count], atol=1e-6)
    attacked = FGSM(0.1).perturb(classifier, images, expected.argmax(1), batch_size=5)
    assert attacked.shape == images.shape


def test_a_size_of_batches_that_is_none_is_left_open():
    """A `Sequential` that was asked about one image, or about all, takes any number."""
    for count in (1, 12):
        model = keras.Sequential([keras.layers.Flatten(), keras.layers.Dense(CLASSES)])
        expected = np.concatenate([model(IMAGES[:count].astype("f4"))])
        assert model.inputs[0].shape[0] == count
        classifier = KerasClassifier(model)
        found = classifier.logits(IMAGES.astype("f4"))
        np.testing.assert_allclose(found[:count], expected, atol=1e-6)
        assert classifier._batch is None and len(found) == len(IMAGES)


def test_a_model_that_goes_on_from_what_it_was_asked_is_refused():
    rows = keras.layers.Reshape((SHAPE[0], -1))
    recurrent = keras.layers.LSTM(3, stateful=True, name="memory")
    with pytest.raises(UserError, match="layer 'memory' is stateful.*stateful=False"):
        KerasClassifier(linear_model(rows, recurrent, shape=(2, *SHAPE)))


def test_layers_called_in_training_mode_are_named():
    images = keras.Input(SHAPE)
    x = keras.layers.Dropout(0.5, name="always")(images, training=True)
    model = keras.Model(images, keras.layers.Dense(CLASSES)(keras.layers.Flatten()(x)))
    classifier = KerasClassifier(model)
    assert classifier.remarks == [IN_INFERENCE.format("always")]
    expected = model.predict(IMAGES.astype("f4"), verbose=0)
    np.testing.assert_allclose(classifier.logits(IMAGES.astype("f4")), expected, atol=1e-6)


def test_preprocessing_that_is_the_same_in_training_is_not_named():
    """Keras calls its own so by default, in a functional model of theirs."""
    images = keras.Input(SHAPE)
    x = keras.layers.Resizing(*SHAPE[:2])(keras.layers.RandomFlip(name="flipped")(images))
    model = keras.Model(images, keras.layers.Dense(CLASSES)(keras.layers.Flatten()(x)))
    assert KerasClassifier(model).remarks == [IN_INFERENCE.format("flipped")]


def test_a_model_for_a_wider_range_of_pixels_is_named():
    scaled = KerasClassifier(linear_model(keras.layers.Rescaling(1 / 255)))
    assert len(scaled.remarks) == 1 and "made for a wider range" in scaled.remarks[0]


def test_an_operation_without_a_gradient_is_attacked_by_score():
    height, width = (2 * size for size in SHAPE[:2])
    by_area = keras.layers.Resizing(height, width, interpolation="area")
    model, labels = linear_model(by_area), np.zeros(len(IMAGES), int)
    with pytest.raises(UserError, match="gradient cannot be computed.*ResizeArea.*square"):
        evaluate(model, IMAGES.astype("f4"), labels, attacks=("fgsm",), progress=False)
    figures, _ = evaluate(
        model, IMAGES.astype("f4"), labels, attacks=("square",), check=4, progress=False
    )
    assert "square" in figures.accuracy and figures.check is None


def test_outputs_in_a_dict_are_told():
    images = keras.Input(SHAPE)
    logits = keras.layers.BatchNormalization()(keras.layers.Flatten()(images))
    with pytest.raises(UserError, match="gives a dict of outputs"):
        KerasClassifier(keras.Model(images, {"logits": logits}))


def test_what_fails_within_the_model_is_told():
    class Eager(keras.Model):
        def call(self, images):
            return images * float(keras.ops.mean(images))  # there are no numbers yet

    with pytest.raises(UserError, match="cannot be asked about images of shape.*`predict` takes"):
        KerasClassifier(Eager()).logits(IMAGES.astype("f4"))
