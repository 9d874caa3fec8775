"""Files of older opsets, whose operators have other defaults than today's."""

from __future__ import annotations

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import helper, numpy_helper

from rnascl_keras.export import OnnxClassifier
from rnascl_keras.export.onnx_gradient import input_gradient_model
from tests.gradient_cases import in_onnxruntime
from tests.small_onnx import CONVOLUTIONS

IMAGES = np.random.default_rng(1).uniform(0, 1, (6, 8, 8, 3)).astype(np.float32)


@pytest.mark.parametrize("mode", ["nearest", "linear"])
@pytest.mark.parametrize(("opset", "operator"), [(7, "Upsample"), (9, "Upsample"), (10, "Resize")])
def test_maps_are_resized_as_their_opset_does(opset, operator, mode):
    """The map is linear, so its matrix is what unit images become in onnxruntime."""
    scales = np.float32([1, 1, 2, 3])
    weights = [] if opset == 7 else [numpy_helper.from_array(scales, "s")]
    own = {"scales": scales.tolist()} if opset == 7 else {}
    nodes = [
        helper.make_node(operator, ["x", "s"][: 1 + len(weights)], ["h"], mode=mode, **own),
        helper.make_node("Flatten", ["h"], ["y"]),
    ]
    values = [
        helper.make_tensor_value_info(name, 1, shape)
        for name, shape in (("x", ("N", 1, 3, 4)), ("y", ("N", 72)))
    ]
    graph = helper.make_graph(nodes, "resize", values[:1], values[1:], weights)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=4)
    session = onnxruntime.InferenceSession(model.SerializeToString())
    units = np.eye(12, dtype=np.float32).reshape(-1, 1, 3, 4)
    (jacobian,) = session.run(["y"], {"x": units})
    random = np.random.default_rng(0)
    slopes, images = random.normal(size=(1, 72)), random.uniform(size=(1, 1, 3, 4))
    feeds = {"images": images.astype(np.float32), "slopes": slopes.astype(np.float32)}
    made = in_onnxruntime(input_gradient_model(model, "linear"), **feeds)
    np.testing.assert_allclose(made["gradient"].ravel(), jacobian @ slopes[0], atol=1e-5)
    np.testing.assert_allclose(made["logits"], images.reshape(1, 12) @ jacobian, atol=1e-5)


BEFORE_SQUEEZING = CONVOLUTIONS.replace("z = Flatten(f)", "")


@pytest.mark.parametrize("opset", [9, 12, 13])
@pytest.mark.parametrize("kind", ["Softmax", "LogSoftmax"])
@pytest.mark.parametrize("channels_last", [False, True])
def test_a_softmax_over_maps_of_one_pixel(save, opset, kind, channels_last):
    """Below opset 13 it is over all axes from the one that it names on."""
    axis = 3 if channels_last and opset == 13 else 1
    maps = "g = Transpose<perm=[0, 2, 3, 1]>(f)" if channels_last else "g = Identity(f)"
    nodes = "n = Identity(x)" + BEFORE_SQUEEZING + maps + f" p = {kind}<axis={axis}>(g)"
    sizes = "1,1,5" if channels_last else "5,1,1"
    classifier = OnnxClassifier(save(nodes, gives=f"float[N,{sizes}] p", opset=opset))
    assert classifier.output.activation == "softmax"
    bare = OnnxClassifier(save("n = Identity(x)" + CONVOLUTIONS)).logits(IMAGES)
    np.testing.assert_allclose(classifier.logits(IMAGES), bare, atol=1e-6)
    logits = classifier.loss_and_gradient(IMAGES, np.zeros(6, int))[0]
    np.testing.assert_allclose(logits, bare, atol=1e-6)


@pytest.mark.parametrize("opset", [9, 13])
def test_a_softmax_that_names_no_axis(save, opset):
    """By default it is over the second axis and all after it, from opset 13 on over the last."""
    nodes = "n = Identity(x)" + BEFORE_SQUEEZING + "p = Softmax(f)"
    classifier = OnnxClassifier(save(nodes, gives="float[N,5,1,1] p", opset=opset))
    assert (classifier.output.activation == "softmax") is (opset < 13)
    model = onnx.load(classifier.path)
    (expected,) = onnxruntime.InferenceSession(model.SerializeToString()).run(
        ["p"], {"x": IMAGES.transpose(0, 3, 1, 2)}
    )
    found = classifier.logits(IMAGES)
    if opset < 13:
        found = np.exp(found) / np.exp(found).sum(axis=1, keepdims=True)
    np.testing.assert_allclose(found, expected.reshape(6, 5), atol=1e-6)
