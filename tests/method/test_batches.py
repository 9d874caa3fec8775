"""What a training refuses to learn from, whatever feeds it and whatever compiles its steps."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from tiny_models import CLASSES, IMAGE, ONE_BLOCK, make_distiller, make_search, tiny_batch, values

from rnascl_keras.attacks import FGSM
from rnascl_keras.errors import UserError
from rnascl_keras.teachers.adversarial_training import AdversarialTrainer

IMAGES, LABELS = tiny_batch()
SPOILT = {
    "labels must be 0 to 2": (IMAGES, LABELS + 1),
    "pixels must lie between 0 and 1": (IMAGES * 255, LABELS),
    "some are NaN or infinite": (np.where(IMAGES.mean() < IMAGES, np.nan, IMAGES), LABELS),
}
INTEGERS = ["int8", "uint8", "int16", "uint16", "int32", "uint32", "uint64"]


def make_trainer(compiling=None):
    keras.utils.set_random_seed(3)
    images = keras.Input(IMAGE)
    model = keras.Model(images, keras.layers.Dense(CLASSES)(keras.layers.Flatten()(images)))
    trainer = AdversarialTrainer(model, method="fast", epsilon=0.1)
    trainer.compile("sgd", **(compiling or {}))
    return trainer


class Rows(keras.utils.PyDataset):
    def __init__(self, images, labels):
        super().__init__()
        self.rows = images, labels

    def __len__(self):
        return 1

    def __getitem__(self, index):
        return self.rows


def one_generator(images, labels):
    yield images, labels


WAYS = {
    "arrays": lambda model, x, y: model.fit(x, y, batch_size=20, verbose=0),
    "validation": lambda model, x, y: model.fit(
        IMAGES, LABELS, batch_size=20, validation_data=(x, y), verbose=0
    ),
    "tf.data": lambda model, x, y: model.fit(tf.data.Dataset.from_tensors((x, y)), verbose=0),
    "generator": lambda model, x, y: model.fit(one_generator(x, y), verbose=0),
    "PyDataset": lambda model, x, y: model.fit(Rows(x, y), verbose=0),
    "evaluate": lambda model, x, y: model.evaluate(x, y, batch_size=20, verbose=0),
    "train_on_batch": lambda model, x, y: model.train_on_batch(x, y),
    "test_on_batch": lambda model, x, y: model.test_on_batch(x, y),
}


def check_refused(model, way, fault):
    with pytest.raises(UserError, match=fault) as refusal:
        WAYS[way](model, *SPOILT[fault])
    assert "\n" not in str(refusal.value)


@pytest.mark.parametrize("way", WAYS)
def test_xla_lets_nothing_pass_whatever_feeds_it(way):
    model = make_trainer({"jit_compile": True})
    for fault in SPOILT:
        check_refused(model, way, fault)


@pytest.mark.parametrize("way", ["arrays", "evaluate"])
@pytest.mark.parametrize("make_model", [make_search, make_distiller])
def test_xla_lets_nothing_pass_whatever_is_trained(make_model, way):
    model = make_model(space=ONE_BLOCK, compiling={"jit_compile": True})
    start = values(model.variables)
    for fault in SPOILT:
        check_refused(model, way, fault)
    assert all(np.array_equal(a, b) for a, b in zip(values(model.variables), start, strict=True))


@pytest.mark.parametrize("compiling", [{"jit_compile": True}, {"steps_per_execution": 3}])
def test_a_later_batch_is_looked_at_as_well(compiling):
    model = make_trainer(compiling)
    images, labels = np.repeat(IMAGES, 3, axis=0), np.repeat(LABELS, 3)
    images[-1] = 2
    with pytest.raises(UserError, match="pixels must lie between 0 and 1"):
        model.fit(images, labels, batch_size=20, shuffle=False, verbose=0)
    assert int(model.optimizer.iterations) == 2  # the third has taught nothing


def test_xla_does_not_split_a_batch_of_one():
    search = make_search(space=ONE_BLOCK, compiling={"jit_compile": True})
    spec = tf.TensorSpec((None, *IMAGE)), tf.TensorSpec((None,), tf.int64)
    batches = tf.data.Dataset.from_generator(
        lambda: one_generator(IMAGES[:1], LABELS[:1]), output_signature=spec
    )
    with pytest.raises(UserError, match="a batch of 1 cannot be split"):
        search.fit(batches, verbose=0)


def trained_on(labels):
    model = make_trainer({"run_eagerly": True})
    model.fit(IMAGES, labels, batch_size=20, verbose=0)
    return [*values(model.classifier.weights), *model.evaluate(IMAGES, labels, verbose=0)]


def test_labels_are_classes_whatever_integers_they_are():
    expected = trained_on(LABELS)
    for dtype in INTEGERS:
        found = trained_on(LABELS[:, None].astype(dtype))  # as `keras.datasets` gives them
        for a, b in zip(found, expected, strict=True):
            np.testing.assert_array_equal(a, b, err_msg=dtype)


@pytest.mark.parametrize("dtype", INTEGERS)
def test_attacks_take_such_labels(dtype):
    model = make_trainer().classifier
    expected = FGSM(0.1).perturb(model, IMAGES, LABELS)
    found = FGSM(0.1).perturb(model, IMAGES, LABELS[:, None].astype(dtype))
    np.testing.assert_array_equal(found, expected)
    assert np.abs(found - IMAGES).max() == pytest.approx(0.1)


def test_a_label_beyond_int64_is_out_of_range():
    labels = LABELS.astype("uint64")
    labels[3] = 2**63 + 1
    with pytest.raises(UserError, match="labels must be 0 to 2"):
        make_trainer().fit(IMAGES, labels, batch_size=20, verbose=0)


@pytest.mark.parametrize("make", [make_trainer, lambda: make_distiller(space=ONE_BLOCK)])
def test_pixels_that_are_no_floats_are_refused(make):
    with pytest.raises(UserError, match="images are uint8; expected floats in"):
        make().fit((IMAGES * 255).astype("uint8"), LABELS, verbose=0)
