"""LiteRT files from anywhere: damaged ones, and ones made to do harm. Each works or is one line."""

from __future__ import annotations

import keras
import numpy as np
import pytest
from keras import layers, ops

from rnascl_keras.errors import UserError
from rnascl_keras.export import LiteRTClassifier
from rnascl_keras.export.litert import reading
from rnascl_keras.export.litert.reading import read_litert
from rnascl_keras.export.litert.runtime import schema
from rnascl_keras.export.room.guarded import GuardedClassifier

RANDOM = np.random.default_rng(0)
NOISE = RANDOM.integers(0, 256, 5000, dtype=np.uint8).tobytes()
IMAGES = RANDOM.random((5, 8, 8, 1), dtype=np.float32)
SPOILT = {
    "text": (lambda whole: b"hello, this is no model\n", "is no LiteRT model: expected TFL3"),
    "empty": (lambda whole: b"", "is no LiteRT model: expected TFL3"),
    "noise": (lambda whole: NOISE, "is no LiteRT model: expected TFL3"),
    "noise after the start": (lambda whole: whole[:8] + NOISE, "is damaged"),
    "cut in half": (lambda whole: whole[: len(whole) // 2], "is damaged"),
}


@pytest.fixture
def content(deployed):
    return deployed.files["integer_int8.tflite"].read_bytes()


@pytest.mark.parametrize("name", SPOILT)
def test_a_spoilt_file_is_one_line(content, tmp_path, name):
    spoil, said = SPOILT[name]
    path = tmp_path / "spoilt.tflite"
    path.write_bytes(spoil(content))
    with pytest.raises(UserError, match=said) as told:
        read_litert(path)
    assert str(told.value).startswith(str(path)) and str(told.value).isprintable()


def test_attack_says_that_line_and_ends_with_2(content, tmp_path, refused):
    path, data = tmp_path / "cut.tflite", tmp_path / "data.npz"
    path.write_bytes(content[: len(content) // 2])
    np.savez(data, x=IMAGES, y=np.arange(5))
    assert f"{path}: it is damaged" in refused("attack", path, "--data", data)


def test_whatever_byte_is_changed_the_file_is_read_or_refused(content, tmp_path):
    path, refusals = tmp_path / "spoilt.tflite", 0
    for _ in range(300):
        spoilt = bytearray(content)
        for place in RANDOM.integers(8, len(content), 20):
            spoilt[place] = RANDOM.choice([0, 1, 127, 128, 255])
        path.write_bytes(spoilt)
        try:
            read_litert(path)
        except UserError as error:
            refusals += 1
            assert str(error).isprintable()
    assert 0 < refusals < 300


def changed(content, change):
    """The content after `change` of its main graph, whose lists are views into it."""
    copy = bytearray(content)
    change(schema().Model.GetRootAs(copy, 0).Subgraphs(0))
    return bytes(copy)


def make_huge(graph):
    graph.Tensors(graph.Outputs(0)).ShapeAsNumpy()[:] = 2**20


def name_no_tensor(graph):
    graph.Operators(3).InputsAsNumpy()[0] = 10**6


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (make_huge, r"has the shape \[1048576, 1048576\]; expected at most"),
        (name_no_tensor, "it names tensors that are none of its"),
    ],
)
def test_what_no_classifier_has_is_refused_before_anything_runs(content, tmp_path, change, said):
    path = tmp_path / "harmful.tflite"
    path.write_bytes(changed(content, change))
    with pytest.raises(UserError, match=said):
        read_litert(path)


@pytest.mark.parametrize(
    ("limit", "said"),
    [
        ("MOST_NODES", r"it has \d+ (operators|kinds of operators); .* at most 3\."),
        ("MOST_CONNECTIONS", r"it has \d+ tensors; an image classifier has at most 3\."),
        ("MOST_BYTES", r"has [\d,]+ bytes; a LiteRT file has at most 3\."),
    ],
)
def test_a_file_has_limits(deployed, monkeypatch, limit, said):
    monkeypatch.setattr(reading, limit, 3)
    with pytest.raises(UserError, match=said):
        read_litert(deployed.files["student.tflite"])


def test_operators_that_are_programs_outside_of_the_file_are_refused(tmp_path):
    images = layers.Input((8, 8, 1))
    x = layers.GlobalAveragePooling2D()(layers.Conv2D(4, 3)(images))
    model = keras.Model(images, layers.Dense(3)(layers.Lambda(ops.erfinv)(x)))
    path = tmp_path / "m.tflite"
    model.export(path, format="litert", verbose=False, allow_custom_ops=True)
    with pytest.raises(UserError, match="operator 'Erfinv', which is a program outside"):
        LiteRTClassifier(path)


def test_a_file_that_is_not_there_is_said(tmp_path):
    with pytest.raises(UserError, match=r"no\.tflite: no such file; give the path of a \.tflite"):
        read_litert(tmp_path / "no.tflite")


def test_the_room_says_what_the_file_says_in_this_process(deployed):
    path, x, y = deployed.files["integer_int8.tflite"], deployed.x[:6], deployed.y[:6]
    inside, outside = GuardedClassifier(path), LiteRTClassifier(path)
    names = "sha256 input_name layout input_shape in_words takes_whole_pixels runtime"
    for name in names.split():
        assert getattr(inside, name) == getattr(outside, name)
    np.testing.assert_array_equal(inside.logits(x), outside.logits(x))
    expected = outside.by_name("log_odds", x, (y, y))
    for ours, theirs in zip(inside.by_name("log_odds", x, (y, y)), expected, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-4, atol=1e-6)
    assert inside.agreement(x) == outside.agreement(x)
