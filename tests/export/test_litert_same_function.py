"""LiteRT files that are not one function of one image: refused, or run one image at a time."""

from __future__ import annotations

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

from rnascl_keras.errors import UserError
from rnascl_keras.export import LiteRTClassifier
from rnascl_keras.export.litert.reading import read_litert
from rnascl_keras.export.litert.session import Interpreter
from tests.litert_files import IMAGES, network, write

LABELS = np.arange(20) % 4
RANDOM = {
    "normal": lambda x: x + tf.random.normal(tf.shape(x)),
    "uniform": lambda x: x * tf.random.uniform(tf.shape(x)),
    "of a fixed start": lambda x: x + tf.random.normal(tf.shape(x), seed=1),
}


def centred(x):
    """As batch normalisation in training mode."""
    return x - tf.reduce_mean(x, axis=0, keepdims=True) + 0.1 * x


def of_hidden(change, **settings):
    return network(of_hidden=change, **settings)[0]


@pytest.fixture
def runs(monkeypatch):
    """The sizes of the batches that interpreters run."""
    sizes, run = [], Interpreter.run

    def counted(self, values):
        sizes.append(len(values))
        return run(self, values)

    monkeypatch.setattr(Interpreter, "run", counted)
    return sizes


@pytest.mark.parametrize("batch", [None, 1, 3])
@pytest.mark.parametrize("kind", RANDOM)
def test_a_file_of_random_answers_is_refused(tmp_path, kind, batch):
    """Each time that it is asked; by several threads, of which each has its own random numbers."""
    path = write(tmp_path / "m.tflite", of_hidden(RANDOM[kind]), batch=batch)
    operators = {operator.name for operator in read_litert(path).operators}
    assert operators & {"RANDOM_STANDARD_NORMAL", "RANDOM_UNIFORM"}
    classifier = LiteRTClassifier(path, threads=3)
    for _ in range(2):
        with pytest.raises(UserError, match=r"m\.tflite gives other logits when it is asked about"):
            classifier.logits(IMAGES)


@pytest.mark.parametrize("threads", [1, 2])
def test_images_that_change_each_others_answers_are_run_alone(tmp_path, threads):
    path = write(tmp_path / "m.tflite", of_hidden(centred))
    classifier = LiteRTClassifier(path, threads=threads)
    alone = np.concatenate([classifier.logits(IMAGES[k : k + 1]) for k in range(20)])
    assert "each image alone" not in classifier.in_words
    for count in (20, 7, 2):
        np.testing.assert_allclose(classifier.logits(IMAGES[:count]), alone[:count], atol=1e-6)
    assert classifier.in_words.endswith(
        "; each image alone, for those of a batch change each other's answers"
    )
    other = LiteRTClassifier(path, threads=threads)  # asked for gradients first
    logits, _, gradient = other.loss_and_gradient(IMAGES, LABELS)
    np.testing.assert_allclose(logits, alone, atol=1e-6)
    own = other.loss_and_gradient(IMAGES[2:3], LABELS[2:3])[2]
    np.testing.assert_allclose(gradient[2:3], own, atol=1e-6)
    assert other.agreement(IMAGES) == 1


def test_where_they_cannot_be_run_alone_the_file_is_refused(tmp_path):
    path = write(tmp_path / "m.tflite", of_hidden(centred), batch=3)
    classifier = LiteRTClassifier(path)
    for _ in range(2):
        with pytest.raises(UserError, match="in its batch of 3; export it with batches"):
            classifier.logits(IMAGES)


def test_a_file_that_was_made_for_one_image_whatever_it_says(tmp_path):
    model, _ = network()
    flat = layers.Lambda(lambda z: tf.reshape(z, [1, 4]))(model.outputs[0])
    path = write(tmp_path / "m.tflite", keras.Model(model.inputs, flat))
    classifier = LiteRTClassifier(path)
    expected = model.predict(IMAGES, verbose=0)
    np.testing.assert_allclose(classifier.logits(IMAGES), expected, atol=1e-5)
    assert "each image alone" in classifier.in_words


@pytest.mark.parametrize(
    ("batch", "extra"), [(None, [1, 1, 8, *[1] * 7]), (1, [1, 1]), (3, [3, 3, 3, 3, 3])]
)
def test_it_is_found_out_once_and_costs_a_run_or_two_an_image(tmp_path, runs, batch, extra):
    classifier = LiteRTClassifier(write(tmp_path / "m.tflite", network()[0], batch=batch))
    given = [classifier.logits(IMAGES)]
    first, runs[:] = list(runs), []
    given.append(classifier.logits(IMAGES))
    assert first == extra + runs and set(runs) == {batch or 8}
    assert "each image alone" not in classifier.in_words
    np.testing.assert_array_equal(*given)


@pytest.mark.parametrize("loss", ["difference", "targeted_dlr"])
def test_labels_and_targets_may_be_lists(tmp_path, loss):
    classifier = LiteRTClassifier(write(tmp_path / "m.tflite", network()[0]))
    targets = (LABELS + 1) % 4
    expected = classifier.loss_and_gradient(IMAGES, LABELS, loss, targets)
    given = classifier.loss_and_gradient(IMAGES, LABELS.tolist(), loss, targets.tolist())
    for ours, theirs in zip(given, expected, strict=True):
        np.testing.assert_array_equal(ours, theirs)
