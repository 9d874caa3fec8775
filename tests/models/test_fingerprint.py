"""Two networks that compute something else are told apart, also where no weight differs."""

from __future__ import annotations

import hashlib
import json

import keras
import pytest

from rnascl_keras.models.fingerprint import PASSING, fingerprint, structure
from rnascl_keras.models.included import included
from rnascl_keras.models.saving import load_model


def activated(word, name):
    keras.utils.set_random_seed(0)
    images = keras.Input((3,), name="images")
    hidden = keras.layers.Dense(4, name="hidden")(images)
    outputs = keras.layers.Dense(2)(keras.layers.Activation(word, name=name)(hidden))
    return keras.Model(images, outputs)


@pytest.mark.parametrize("name", ["relu", "gelu", "hidden_activation"])
def test_a_word_of_a_setting_counts_whatever_layers_are_called(name):
    one, other = activated("relu", "relu"), activated("gelu", name)
    assert fingerprint(one) == fingerprint(other)
    assert structure(one) != structure(other)
    assert structure(activated("relu", "a")) == structure(activated("relu", "relu"))


def structure_of_before(model):
    """Renames every word that some layer bears, as the caches that exist were made with."""
    places = {layer.name: f"layer {k}" for k, layer in enumerate(model._flatten_layers())}

    def renamed(value):
        if isinstance(value, dict):
            return {k: renamed(v) for k, v in value.items() if k not in PASSING}
        if isinstance(value, list | tuple):
            return [renamed(v) for v in value]
        return places.get(value, value) if isinstance(value, str) else value

    content = json.dumps(renamed(model.get_config()), sort_keys=True, default=str)
    return hashlib.sha256(content.encode()).hexdigest()[:16]


@pytest.mark.parametrize(
    ("kind", "name"), [("teachers", "cifar10_small"), ("students", "cifar10_s3")]
)
def test_what_comes_with_the_package_is_known_as_before(kind, name):
    model = load_model(included(kind)[name])
    assert structure(model) == structure_of_before(model)
