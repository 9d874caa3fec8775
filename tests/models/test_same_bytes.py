"""Equal models give equal files, byte for byte, whenever and after whatever else they are saved."""

import os
import time
import zipfile

import keras
import numpy as np
import pytest
from test_older_keras import make_student

from rnascl_keras.models.same_bytes import numbered_anew
from rnascl_keras.models.saving import load_model, save_model, save_weights
from rnascl_keras.run.saved_state import SavedState
from rnascl_keras.teachers.networks.architectures import build_teacher

LARGE, SMALL = (32, 32, 3), (8, 8, 1)


def by_name(name, image=LARGE):
    model = build_teacher(name, input_shape=image, classes=10)
    rng = np.random.default_rng(0)
    model.set_weights([rng.uniform(0.1, 1, w.shape) for w in model.get_weights()])
    return model


def sharing():
    """Two layers with one initialiser, a model in the model, and operations in both."""
    start = keras.initializers.RandomUniform(seed=1)
    images = x = keras.Input((4, 4, 2), name="images")
    inner_in = keras.Input((4, 4, 2), name="inner")
    inner = keras.Model(inner_in, keras.ops.pad(inner_in[:, ::2, ::2], [[0, 0]] * 4), name="half")
    for name in ("one", "two"):
        x = keras.layers.Conv2D(2, 3, padding="same", kernel_initializer=start, name=name)(x)
        x = keras.ops.relu(x)
    x = keras.ops.mean(inner(x)[:, ::2], axis=(1, 2))
    model = keras.Model(images, keras.ops.relu(x), name="sharing")
    rng = np.random.default_rng(0)
    model.set_weights([rng.uniform(0.1, 1, w.shape) for w in model.get_weights()])
    return model


MODELS = {
    "student": make_student,
    "sharing": sharing,
    "resnet20": lambda: by_name("resnet20"),
    "abcrown_resnet4b": lambda: by_name("abcrown_resnet4b"),
    "mobilenetv2": lambda: by_name("mobilenetv2"),
    "digits_cnn": lambda: by_name("digits_cnn", SMALL),
}


@pytest.fixture
def another_time(monkeypatch):
    """Let the clocks that zip archives and Keras read go on by a day at each call."""
    import datetime

    begin, passed = time.time(), [0]

    class Later(datetime.datetime):
        @classmethod
        def now(cls, tz=None):
            passed[0] += 1
            return datetime.datetime.fromtimestamp(begin + 86400 * passed[0], tz)

    def later():
        passed[0] += 1
        return begin + 86400 * passed[0]

    monkeypatch.setattr("time.time", later)
    monkeypatch.setattr("keras.src.saving.saving_lib.datetime.datetime", Later)
    return passed


@pytest.mark.parametrize("name", MODELS)
def test_a_model_that_is_made_and_saved_again_gives_the_same_bytes(name, tmp_path, another_time):
    one, other = tmp_path / "one.keras", tmp_path / "other.keras"
    first = MODELS[name]()
    save_model(first, one)
    save_model(MODELS[name](), other)  # its operations are numbered on
    assert another_time[0] > 2  # else no time has passed
    assert one.read_bytes() == other.read_bytes()
    read = load_model(one)
    images = np.random.default_rng(1).uniform(size=(2, *first.input_shape[1:])).astype("float32")
    np.testing.assert_array_equal(read(images, training=False), first(images, training=False))


def test_other_weights_give_other_bytes(tmp_path):
    student = make_student()
    save_model(student, tmp_path / "one.keras")
    student.set_weights([w + 1e-6 for w in student.get_weights()])
    save_model(student, tmp_path / "other.keras")
    assert (tmp_path / "one.keras").read_bytes() != (tmp_path / "other.keras").read_bytes()


def test_a_file_says_the_version_of_keras_and_no_date(tmp_path):
    save_model(make_student(), tmp_path / "student.keras")
    archive = zipfile.ZipFile(tmp_path / "student.keras")
    assert {entry.date_time[0] for entry in archive.infolist()} == {1980}
    assert f'"keras_version": "{keras.__version__}"'.encode() in archive.read("metadata.json")
    assert time.strftime("%Y-").encode() not in archive.read("metadata.json")


def operation(name, kind="Pad", module="keras.src.ops.numpy"):
    return {"module": module, "class_name": kind, "name": name, "config": {"name": name}}


def test_what_somebody_named_keeps_its_name():
    named = [
        operation("pad_7"),
        operation("pad", module="keras.layers"),
        operation("pad_9"),
        operation("wider"),
        operation("get_item_3", "GetItem"),
    ]
    given = {"layers": named, "output_layers": [["pad_9", 0, 0]], "input_layers": ["pad", 0, 0]}
    found = numbered_anew({"config": given})["config"]
    assert [x["name"] for x in found["layers"]] == ["pad_1", "pad", "pad_2", "wider", "get_item"]
    assert [x["config"]["name"] for x in found["layers"]] == [x["name"] for x in found["layers"]]
    assert found["output_layers"] == [["pad_2", 0, 0]]
    assert found["input_layers"] == ["pad", 0, 0]
    assert named[0] == operation("pad_7")  # what was given stays


def test_weights_and_states_that_are_written_again_give_the_same_bytes(tmp_path, another_time):
    student = make_student()
    state = SavedState(1, 2, "signature", student.get_weights(), [np.float32(0.5)])
    for folder in ("one", "other"):
        os.makedirs(tmp_path / folder)
        save_weights(student, tmp_path / folder / "student.weights.h5")
        state.write(tmp_path / folder / "state.npz")
        another_time[0] += 10
    for name in ("student.weights.h5", "state.npz"):
        one, other = ((tmp_path / folder / name).read_bytes() for folder in ("one", "other"))
        assert one == other
