"""LiteRT files of students: what they compute, and whether a microcontroller could."""

from __future__ import annotations

from itertools import pairwise

import keras
import numpy as np
import pytest
from keras import layers, ops

from rnascl_keras.errors import UserError
from rnascl_keras.export import ExportError, export_litert
from rnascl_keras.export.litert import microcontroller
from rnascl_keras.export.litert.latency import measure_litert_latency
from rnascl_keras.export.litert.memory import activation_bytes
from rnascl_keras.export.litert.reading import LiteRTFile, Operator, Tensor, read_litert
from rnascl_keras.export.litert.writing import litert_in_words
from rnascl_keras.method.architecture import Architecture
from rnascl_keras.method.spaces import SPACES, SearchSpace, Stage
from tests.litert_alone import litert_logits, open_litert

ENDS = {"student_int8.tflite": 2, "integer_int8.tflite": 0}


def test_the_float_file_computes_what_the_model_computes(deployed):
    logits = litert_logits(deployed.files["student.tflite"], deployed.x)
    np.testing.assert_allclose(logits, deployed.model.predict(deployed.x, verbose=0), atol=1e-4)


def test_the_int8_file_says_nearly_always_the_models_class(deployed):
    labels = deployed.model.predict(deployed.x, verbose=0).argmax(axis=1)
    logits = litert_logits(deployed.files["student_int8.tflite"], deployed.x)
    assert np.mean(logits.argmax(axis=1) == labels) >= 0.95
    whole = np.rint(deployed.x * 255 - 128).astype(np.int8)
    logits = litert_logits(deployed.files["integer_int8.tflite"], whole)
    assert np.mean(logits.argmax(axis=1) == labels) >= 0.95


@pytest.mark.parametrize("name", ENDS)
def test_an_int8_file_holds_whole_numbers_only_but_for_its_ends(deployed, name):
    tensors = open_litert(deployed.files[name]).get_tensor_details()
    kinds = [np.dtype(tensor["dtype"]).name for tensor in tensors]
    assert set(kinds) - {"float32"} == {"int8", "int32"}
    assert kinds.count("float32") == ENDS[name]
    # of convolutions, a scale for each output channel
    assert max(len(tensor["quantization_parameters"]["scales"]) for tensor in tensors) > 10


def test_the_input_of_an_int8_file_loses_nothing_of_an_8_bit_image(deployed):
    (given,) = open_litert(deployed.files["integer_int8.tflite"]).get_input_details()
    assert given["quantization"] == (pytest.approx(1 / 255), -128)


# what the paper's spaces for 32 and for 224 pixels are made of
SMALL = (Stage(3, (8, 6), stride=1), Stage(3, (12, 10)))
GEOMETRIES = [
    pytest.param(SearchSpace("cifar", SMALL, stem_width=4), 8, id="cifar"),
    pytest.param(SearchSpace("imagenet", SMALL, 4, 2, 16), 16, id="imagenet"),
    pytest.param(SPACES["S3"], 32, marks=pytest.mark.slow, id="S3"),
    pytest.param(SPACES["IS"], 64, marks=pytest.mark.slow, id="IS"),
]


@pytest.mark.parametrize(("space", "size"), GEOMETRIES)
def test_students_are_made_of_operators_that_microcontrollers_have(space, size, tmp_path):
    """With the widths that make blocks pad and cut what they add."""
    widths = tuple(
        tuple(stage.widths[k % len(stage.widths)] for k in range(stage.depth))
        for stage in space.stages
    )
    student = Architecture(space, widths, input_shape=(size, size, 3)).build()
    images = np.random.default_rng(0).random((4, size, size, 3), dtype=np.float32)
    loose = {"least_agreement": 0.0, "tolerance": np.inf}
    _, int8 = export_litert(student, tmp_path, "student", images, images, **loose)
    grows = any(b > a for stage in widths for a, b in pairwise(stage))
    assert {"DEPTHWISE_CONV_2D", "ADD", *(["PAD"] if grows else [])} <= int8.operators.keys()
    assert int8.operators.keys() <= microcontroller.OPERATORS
    assert "all on microcontrollers" in litert_in_words(int8)
    assert int8.bytes == (tmp_path / "student_int8.tflite").stat().st_size


def test_what_no_microcontroller_has_is_said(deployed):
    assert microcontroller.missing_on_microcontrollers(["CONV_2D", "GELU", "WHILE", "GELU"]) == [
        "GELU",
        "WHILE",
    ]


def tensor(count, constant=False):
    return Tensor("t", (1, count), (None, count), np.dtype(np.int8), None, 0, constant)


def test_the_memory_of_activations_is_the_most_that_are_alive_at_once():
    """By hand: a residual (0) of 10 is kept through 1 (of 30) and 2 (of 20), then added into 3."""
    tensors = (*map(tensor, (10, 30, 20, 10, 5)), tensor(1000, constant=True))
    chain = [("CONV_2D", (0, 5), (1,)), ("CONV_2D", (1, 5), (2,)), ("ADD", (0, 2), (3,))]
    operators = tuple(Operator(*row) for row in (*chain, ("MEAN", (3,), (4,))))
    file = LiteRTFile(b"", tensors, operators, (0,), (4,))
    assert activation_bytes(file) == 10 + 30 + 20
    # without the residual, 30 and 20 are alive at once, and 0 is not
    shorter = (*operators[:2], Operator("CONV_2D", (2, 5), (3,)), operators[3])
    assert activation_bytes(LiteRTFile(b"", tensors, shorter, (0,), (4,))) == 30 + 20
    # an output stays to the end
    assert activation_bytes(LiteRTFile(b"", tensors, shorter, (0,), (1, 4))) == 30 + 20 + 10


def test_the_memory_of_a_files_activations_follows_from_the_interpreters_own_lists(deployed):
    """Step by step: the inputs and outputs of what runs, and what was made before and is read
    after."""
    path = deployed.files["integer_int8.tflite"]
    interpreter = open_litert(path)
    sizes = {t["index"]: int(np.prod(t["shape"])) for t in interpreter.get_tensor_details()}
    steps = [(set(o["inputs"]), set(o["outputs"])) for o in interpreter._get_ops_details()]
    made = [{interpreter.get_input_details()[0]["index"]}, *(gives for _, gives in steps)]
    read = [*(takes for takes, _ in steps), {interpreter.get_output_details()[0]["index"]}]
    alive = [
        set.union(*made[: k + 2]) & set.union(*read[k:], made[k + 1]) for k in range(len(steps))
    ]
    expected = max(sum(sizes[t] for t in tensors) for tensors in alive)
    # the hidden channels of the first block, 6 x 16, before and after the depthwise convolution
    assert activation_bytes(read_litert(path)) == expected == 8 * 8 * (96 + 96)


def test_a_files_latency_is_that_of_one_image_on_one_thread(deployed):
    latency = measure_litert_latency(deployed.files["student_int8.tflite"])
    assert set(latency) == {"one_thread"} and 0 < latency["one_thread"] < 1000


def of_layer(function):
    images = layers.Input((8, 8, 1))
    x = layers.GlobalAveragePooling2D()(layers.Conv2D(4, 3)(images))
    return keras.Model(images, layers.Dense(3)(layers.Lambda(function)(x)))


def test_a_model_that_litert_has_no_operators_for_is_refused_and_leaves_nothing(deployed, tmp_path):
    with pytest.raises(UserError, match=r"cannot be exported to LiteRT: .*export\.litert=false"):
        export_litert(of_layer(ops.erfinv), tmp_path, "no", deployed.x[:4], deployed.x[:4])
    assert not list(tmp_path.iterdir())


def test_files_that_differ_from_the_model_are_not_kept(deployed, tmp_path):
    """And one of that name from before stays."""
    old = tmp_path / "no.tflite"
    old.write_text("old")
    settings = (deployed.model, tmp_path, "no", deployed.x[:20], deployed.x[:20])
    given = {"saved_model": deployed.files["student_saved_model"]}
    with pytest.raises(ExportError, match=r"no\.tflite differs from its Keras model on 20 images"):
        export_litert(*settings, **given, tolerance=0.0)
    assert [path.name for path in tmp_path.iterdir()] == ["no.tflite"] and old.read_text() == "old"
    with pytest.raises(UserError, match=r"no_int8\.tflite puts .* It was not kept"):
        export_litert(*settings, **given, least_agreement=1.1)
    assert [path.name for path in tmp_path.iterdir()] == ["no.tflite"]
