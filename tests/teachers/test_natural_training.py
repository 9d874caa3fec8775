"""Training without adversarial images: drop path, auxiliary classifier, and what is deployed."""

from __future__ import annotations

import keras
import numpy as np
import pytest

from rnascl_keras.distribution.replicas import moving_statistics
from rnascl_keras.errors import UserError
from rnascl_keras.teachers import build_teacher
from rnascl_keras.teachers.drop_path import DropPath, DropRate, GrowingDropRate
from rnascl_keras.teachers.natural_training import (
    NaturalTrainer,
    build_for_training,
    copy_shared_weights,
)

NETWORK = {
    "architecture": "robnet_large",
    "input_shape": (32, 32, 3),
    "classes": 3,
    "width": 2,
    "cells": 3,
}


def test_drop_path_keeps_or_doubles_whole_images():
    rate = DropRate()
    layer, x = DropPath(rate), np.ones((400, 2, 2, 3), np.float32)
    np.testing.assert_array_equal(layer(x, training=True), x)
    rate.variable.assign(0.5)
    np.testing.assert_array_equal(layer(x, training=False), x)
    found = np.asarray(layer(x, training=True))
    assert set(np.unique(found)) == {0, 2}
    assert (np.ptp(found, axis=(1, 2, 3)) == 0).all()
    assert 0.35 < (found[:, 0, 0, 0] == 0).mean() < 0.65


def test_the_rate_grows_by_the_epochs_done():
    rate = DropRate()
    growing = GrowingDropRate(rate, 0.2, epochs=10)
    growing.on_epoch_begin(0)
    assert float(rate.variable.numpy()) == 0
    growing.on_epoch_begin(5)
    assert float(rate.variable.numpy()) == pytest.approx(0.1)


def test_what_is_done_to_normalisations_reaches_the_auxiliary_classifier_s():
    trainer = NaturalTrainer(build_for_training(NETWORK, auxiliary=True, rate=DropRate()))
    known = {variable.path for variable in moving_statistics(trainer.network)}
    missing = {variable.path for variable in moving_statistics(trainer.heads)} - known
    assert not missing and any("auxiliary" in path for path in known)


@pytest.fixture(scope="module")
def trained():
    """A step of training, and the network before and after it."""
    keras.utils.set_random_seed(0)
    rate = DropRate()
    model = build_for_training(NETWORK, auxiliary=True, rate=rate)
    before = model.get_weights()
    trainer = NaturalTrainer(model, auxiliary=0.4)
    trainer.compile("sgd")
    rng = np.random.default_rng(0)
    images = rng.uniform(size=(4, 32, 32, 3)).astype(np.float32)
    trainer.fit(images, np.array([0, 1, 2, 0]), batch_size=4, epochs=1, verbose=0)
    return model, before, images


def test_a_step_moves_the_network_and_its_auxiliary_classifier(trained):
    model, before, _ = trained
    moved = {
        w.path.split("/")[0]: np.abs(w.numpy() - b).max()
        for w, b in zip(model.weights, before, strict=True)
    }
    for name in ("stem_conv", "logits", "auxiliary_conv1", "auxiliary_logits"):
        assert moved[name] > 0, name


def test_what_is_deployed_is_stock_layers_of_the_same_logits(trained):
    model, _, images = trained
    deployed = build_teacher(**NETWORK)
    copy_shared_weights(model, deployed)
    assert all(type(layer).__module__.startswith("keras.") for layer in deployed.layers)
    np.testing.assert_allclose(deployed(images), model(images)[0], atol=1e-5)


@pytest.mark.parametrize("network", [{"architecture": "resnet20"}, {"architecture": "vgg11_r"}])
def test_other_networks_have_no_auxiliary_classifier(network):
    with pytest.raises(UserError, match="for cell networks"):
        build_for_training(NETWORK | network, auxiliary=True, rate=None)


def test_an_auxiliary_classifier_wants_maps_of_8_x_8():
    with pytest.raises(UserError, match="give images of 32 x 32"):
        build_for_training(NETWORK | {"input_shape": (16, 16, 3)}, auxiliary=True, rate=None)
