"""`.keras` files that describe too much are refused before they are built, or before they run."""

from __future__ import annotations

import json
import os
import zipfile

import keras
import pytest

from rnascl_keras.errors import UserError
from rnascl_keras.models.bounds import MOST_LAYERS, MOST_OBJECTS
from rnascl_keras.models.saving import load_model

layers = keras.layers


@pytest.fixture
def spoiled(tmp_path):
    """A function: (change of the description) -> the file of a small model, changed."""

    def write(change):
        images = keras.Input((8, 8, 1))
        model = keras.Model(images, layers.Dense(10, name="d")(layers.Flatten()(images)))
        model.save(tmp_path / "plain.keras")
        path = tmp_path / "spoiled.keras"
        with zipfile.ZipFile(tmp_path / "plain.keras") as plain, zipfile.ZipFile(path, "w") as made:
            for name in plain.namelist():
                content = plain.read(name)
                if name == "config.json":
                    content = json.dumps(change(json.loads(content))).encode()
                made.writestr(name, content)
        return path

    return write


def more_layers(config):
    config["config"]["layers"] += config["config"]["layers"][-1:] * MOST_LAYERS
    return config


def one_layer_used_often(config):
    config["config"]["layers"][-1]["inbound_nodes"] *= MOST_LAYERS
    return config


def more_objects(config):
    constraint = {"class_name": "NonNeg", "module": "keras.constraints", "config": {}}
    return config | {"compile_config": [constraint] * MOST_OBJECTS}


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (more_layers, "layers; at most 1,500 are built"),
        (one_layer_used_often, "layers; at most 1,500 are built"),
        (more_objects, "layers and other objects; at most 20,000 are built"),
    ],
)
def test_more_than_can_be_built(change, words, spoiled):
    with pytest.raises(UserError, match=words):
        load_model(spoiled(change))


def wrapped(depth, around):
    """A description of one layer in as many others."""
    inner = {"class_name": "Activation", "config": {"activation": "relu"}}
    for _ in range(depth):
        inner = {"class_name": "Sequential", "config": {around: inner}}
    return inner


@pytest.mark.parametrize("around", ["layer", "layers"])
def test_models_in_models_beyond_what_python_calls(around, spoiled):
    def change(config):
        config["config"]["layers"].insert(1, wrapped(100, around))
        return config

    with pytest.raises(UserError, match="layers more than 25 deep in each other"):
        load_model(spoiled(change))


def test_a_description_that_no_reader_follows(spoiled):
    path = spoiled(lambda config: config)
    with zipfile.ZipFile(path, "w") as file:
        file.writestr("config.json", "[" * 100_000 + "]" * 100_000)
    with pytest.raises(UserError, match="layers more than 25 deep in each other"):
        load_model(path)


def test_what_takes_long_to_build(spoiled, monkeypatch):
    monkeypatch.setattr("rnascl_keras.models.bounds.BUILDING", -1)
    call = keras.layers.Layer.__call__
    with pytest.raises(UserError, match="takes more than .* s to build, and holds 1[0-9.]+ kB"):
        load_model(spoiled(lambda config: config))
    assert keras.layers.Layer.__call__ is call


@pytest.mark.parametrize("name", ["model.weights.h5", "metadata.json", "assets/a"])
def test_what_unpacks_to_far_more(name, spoiled):
    path = spoiled(lambda config: config)
    with zipfile.ZipFile(path) as plain:
        parts = {each: plain.read(each) for each in plain.namelist()}
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
        for each, content in (parts | {name: bytes(70_000_000)}).items():
            file.writestr(each, content)
    with pytest.raises(UserError, match="unpacked 70"):
        load_model(path)


def test_what_is_no_regular_file(tmp_path):
    (tmp_path / "folder.keras").mkdir()
    os.mkfifo(tmp_path / "pipe.keras")
    (tmp_path / "device.keras").symlink_to("/dev/zero")
    for path in tmp_path.iterdir():
        with pytest.raises(UserError, match="is no regular file"):
            load_model(path)


def test_a_long_description(spoiled):
    with pytest.raises(UserError, match="describes its model in more than"):
        load_model(spoiled(lambda config: config | {"note": "x" * 70_000_000}))


@pytest.mark.parametrize(
    "large",
    [
        lambda: layers.RepeatVector(10**9, name="huge"),
        lambda: keras.Sequential([keras.Input((10,)), layers.RepeatVector(10**8, name="huge")]),
    ],
    ids=["layer", "nested"],
)
def test_a_layer_that_gives_far_too_much(large, tmp_path):
    images = keras.Input((8, 8, 1))
    x = large()(layers.Dense(10)(layers.Flatten()(images)))
    path = tmp_path / "huge.keras"
    keras.Model(images, layers.GlobalAveragePooling1D()(x)).save(path)
    words = r"layer '(huge|sequential\w*)' gives \(None, 10+, 10\), more than"
    with pytest.raises(UserError, match=words):
        load_model(path)


@pytest.mark.parametrize(
    "layer",
    [
        ("Dense", {"units": 10**9}),
        ("Embedding", {"input_dim": 10**9, "output_dim": 100}),
    ],
    ids=lambda layer: layer[0],
)
def test_weights_that_the_file_does_not_hold(layer, spoiled):
    """They are refused before any memory is taken for them."""
    kind, settings = layer

    def change(config):
        added = {"module": "keras.layers", "class_name": kind, "registered_name": None}
        source = {"shape": [None, 10], "dtype": "float32", "keras_history": ["d", 0, 0]}
        tensor = {"class_name": "__keras_tensor__", "config": source}
        added |= {"config": {"name": "e", **settings}, "name": "e"}
        added["inbound_nodes"] = [{"args": [tensor], "kwargs": {}}]
        config["config"]["layers"].append(added)
        return config

    add = keras.layers.Layer.add_weight
    with pytest.raises(UserError, match="describes weights of .* or more, and holds"):
        load_model(spoiled(change))
    assert keras.layers.Layer.add_weight is add


def test_a_layer_that_a_batch_of_would_not_fit(tmp_path, monkeypatch):
    images = keras.Input((8, 8, 1))
    x = layers.RepeatVector(10**5, name="large")(layers.Dense(10)(layers.Flatten()(images)))
    path = tmp_path / "large.keras"
    keras.Model(images, layers.GlobalAveragePooling1D()(x)).save(path)
    monkeypatch.setattr("rnascl_keras.models.bounds.memory", lambda: 2**32)
    load_model(path)
    monkeypatch.setattr("rnascl_keras.models.bounds.memory", lambda: 2**28)
    with pytest.raises(UserError, match="layer 'large' gives .* would not fit this machine's"):
        load_model(path)


def test_what_is_no_keras_file(tmp_path):
    for content in (b"", b"PK\x03\x04", b"text", bytes(10_000)):
        path = tmp_path / "no.keras"
        path.write_bytes(content)
        with pytest.raises(UserError, match="cannot be loaded as a Keras model"):
            load_model(path)


def test_a_file_of_older_keras_is_told_from_a_damaged_one(tmp_path):
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
    model.save(tmp_path / "m.h5")
    (tmp_path / "m.h5").rename(tmp_path / "m.keras")
    with pytest.raises(UserError, match="it is HDF5.*Rename it to m.h5.*save.'m.keras'"):
        load_model(tmp_path / "m.keras")


def test_a_model_that_needs_code_is_told_to_need_it(tmp_path):
    class Own(keras.layers.Layer):
        def call(self, x):
            return x

    names = {"Own": Own(), "Lambda layer": keras.layers.Lambda(lambda x: x)}
    for name, layer in names.items():
        images = keras.Input((2,))
        keras.Model(images, keras.layers.Dense(1)(layer(images))).save(tmp_path / "m.keras")
        with pytest.raises(UserError, match=f"needs code, .*{name}.*rnascl_keras.evaluate"):
            load_model(tmp_path / "m.keras")
