"""LiteRT files whose tensors have no names, or share them: the format goes by numbers."""

from __future__ import annotations

import flatbuffers
import keras
import numpy as np
import pytest
from keras import layers

from rnascl_keras.errors import UserError
from rnascl_keras.export import LiteRTClassifier
from rnascl_keras.export.litert.reading import IDENTIFIER, read_litert
from rnascl_keras.export.litert.runtime import schema
from rnascl_keras.export.litert.scores import named_outputs
from tests.litert_files import IMAGES, network, write

LABELS = np.zeros(20, int)
ALIKE = pytest.mark.parametrize("name", [None, b"", b"x"])


def named(path, name_of):
    """Change the names of the tensors in a file to name_of(number)."""
    model = schema().ModelT.InitFromObj(schema().Model.GetRootAs(path.read_bytes(), 0))
    for k, tensor in enumerate(model.subgraphs[0].tensors):
        tensor.name = name_of(k)
    builder = flatbuffers.Builder(0)
    builder.Finish(model.Pack(builder), IDENTIFIER)
    path.write_bytes(builder.Output())
    return path


@pytest.fixture
def two_outputs(tmp_path):
    """Four scores, and seven numbers made of them."""
    model, _ = network()
    both = [model.outputs[0], layers.Dense(7)(model.outputs[0])]
    return model, write(tmp_path / "m.tflite", keras.Model(model.inputs, both))


@ALIKE
def test_outputs_that_share_a_name_are_told_apart(two_outputs, name):
    model, path = two_outputs
    named(path, lambda k: name)
    with pytest.raises(UserError, match="several outputs can be scores of classes") as told:
        LiteRTClassifier(path)
    names = list(named_outputs(read_litert(path)))
    assert names == (["x (0)", "x (1)"] if name else ["output 0", "output 1"])
    assert all(f"{each!r} float32" in str(told.value) for each in names)
    assert str(told.value).endswith(f"--output {names[1]!r}.")
    given = [LiteRTClassifier(path, output=each).logits(IMAGES) for each in names]
    (scores,) = [logits for logits in given if logits.shape[1] == 4]
    assert sorted(logits.shape[1] for logits in given) == [4, 7]
    np.testing.assert_allclose(scores, model.predict(IMAGES, verbose=0), atol=1e-5)
    with pytest.raises(UserError, match=f"output 'x' is unknown; expected one of {names[0][0]}"):
        LiteRTClassifier(path, output="x")


def test_a_name_that_is_another_outputs_own_is_not_given(two_outputs):
    file = read_litert(two_outputs[1])
    named(two_outputs[1], lambda k: b"output 1" if k == file.outputs[0] else b"")
    assert list(named_outputs(read_litert(two_outputs[1]))) == ["output 1", "output 1 (1)"]


@ALIKE
def test_a_file_without_names_answers_and_has_its_gradient(tmp_path, name):
    path = write(tmp_path / "m.tflite", network("softmax")[0])
    expected = LiteRTClassifier(path).loss_and_gradient(IMAGES, LABELS)
    classifier = LiteRTClassifier(named(path, lambda k: name))
    assert f"4 classes in {'x' if name else 'output 0'!r}" in classifier.in_words
    assert classifier.input_name == ("x" if name else "input 0")
    for ours, theirs in zip(classifier.loss_and_gradient(IMAGES, LABELS), expected, strict=True):
        np.testing.assert_array_equal(ours, theirs)
    assert classifier.agreement(IMAGES) == 1


def test_a_gradient_is_not_that_of_other_weights_with_the_same_name(tmp_path):
    """Weights of one shape share a name, so that nothing else would tell them apart."""
    z = layers.Dense(4)(layers.Dense(4)(network()[0].outputs[0]))
    path = write(tmp_path / "m.tflite", keras.Model(keras.utils.get_source_inputs(z), z))
    expected = LiteRTClassifier(path).loss_and_gradient(IMAGES, LABELS)[2]
    tensors = read_litert(path).tensors
    named(path, lambda k: str(tensors[k].shape if tensors[k].is_constant else k).encode())
    given = LiteRTClassifier(path).loss_and_gradient(IMAGES, LABELS)[2]
    np.testing.assert_array_equal(given, expected)
