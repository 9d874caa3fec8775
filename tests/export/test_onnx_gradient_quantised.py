"""Straight-through gradients of quantised files, against the network that they stand for."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from gradient_cases import by_differences, in_onnxruntime
from onnx import numpy_helper
from onnx.reference import ReferenceEvaluator

from rnascl_keras.errors import UserError
from rnascl_keras.export.onnx_classifier import OnnxClassifier
from rnascl_keras.export.onnx_gradient import input_gradient_model

RANGES = {"uint8": (0, 255), "int8": (-128, 127), "int16": (-32768, 32767)}


def quantised(kind, scale, zero, attributes="", shape=(2, 4), opset=21):
    """Flatten(DequantizeLinear(QuantizeLinear(x)))."""
    sizes = ",".join(map(str, shape))
    model = onnx.parser.parse_model(
        f'<ir_version: 10, opset_import: ["": {opset}]> g (float[N,{sizes}] x) => (float[N,K] y) {{'
        f"q = QuantizeLinear{attributes}(x, scale, zero)"
        f"d = DequantizeLinear{attributes}(q, scale, zero) y = Flatten(d) }}"
    )
    arrays = {"scale": np.array(scale, np.float32), "zero": np.array(zero, kind)}
    model.graph.initializer.extend(numpy_helper.from_array(v, k) for k, v in arrays.items())
    return model


def gradient_of_sum(model, images):
    made = input_gradient_model(model, "linear")
    slopes = np.ones((len(images), int(np.prod(images.shape[1:]))), np.float32)
    return in_onnxruntime(made, images=images, slopes=slopes)["gradient"]


@pytest.mark.parametrize("kind", RANGES)
@pytest.mark.parametrize(
    ("scale", "zero", "attributes"),
    [
        (0.5, 0, ""),
        (0.25, 3, ""),
        ([0.5, 0.01], [3, 7], "<axis=1>"),
        ([2, 1, 3, 4], [1] * 4, "<axis=-1>"),
    ],
)
def test_one_inside_the_range_and_nothing_where_it_clips(kind, scale, zero, attributes):
    scale, zero = np.array(scale), np.array(zero)
    shape = (-1, 1) if attributes == "<axis=1>" else (-1,)
    low, high = ((x - zero) * scale for x in RANGES[kind])
    low, high = (np.broadcast_to(np.reshape(x, shape), (2, 4)) for x in (low, high))
    inside = [low + share * (high - low) for share in (0, 0.001, 0.5, 0.999)]
    images = np.stack([*inside, low - 0.1, high + 0.1, low - 1e6]).astype(np.float32)
    gradient = gradient_of_sum(quantised(kind, scale, zero, attributes), images)
    np.testing.assert_allclose(gradient[:4], 1, rtol=1e-6)
    np.testing.assert_array_equal(gradient[4:], 0)


def test_a_scale_undone_by_another_scales_the_gradient():
    model = quantised("int8", 0.5, 0)
    model.graph.node[1].input[1] = "other"
    model.graph.initializer.append(numpy_helper.from_array(np.float32(1.5), "other"))
    gradient = gradient_of_sum(model, np.ones((1, 2, 4), np.float32))
    np.testing.assert_allclose(gradient, 3, rtol=1e-6)


def test_four_bits_are_refused():
    model = quantised("int8", 0.5, 0)
    del model.graph.initializer[1]
    zero = onnx.helper.make_tensor("zero", onnx.TensorProto.INT4, (), [0])
    model.graph.initializer.append(zero)
    with pytest.raises(
        UserError, match="QuantizeLinear .node 'q': its type .*INT4 is none of 8 or 16 bits"
    ):
        input_gradient_model(model)


CNN = """
  a = Conv<pads=[1, 1, 1, 1]>(x, w1, b1) r = Relu(a)
  b = Conv<group=6, pads=[1, 1, 1, 1], strides=[2, 2]>(r, w2, b2) s = Relu(b)
  p = AveragePool<kernel_shape=[2, 2], strides=[2, 2]>(s)
  t = Transpose<perm=[0, 2, 3, 1]>(p)
  f = Flatten(t)
  y = Gemm(f, w3, b3)
"""
WEIGHTS = {
    "w1": (6, 3, 3, 3),
    "b1": (6,),
    "w2": (6, 1, 3, 3),
    "b2": (6,),
    "w3": (24, 5),
    "b3": (5,),
}


@pytest.fixture(scope="module")
def int8(tmp_path_factory) -> onnx.ModelProto:
    """A small convolutional network, statically quantised by onnxruntime, per channel."""
    from onnxruntime import quantization

    folder = tmp_path_factory.mktemp("int8")
    model = onnx.parser.parse_model(
        '<ir_version: 8, opset_import: ["": 18]> '
        f"cnn (float[N,3,8,8] x) => (float[N,5] y) {{ {CNN} }}"
    )
    random = np.random.default_rng(0)
    for name, shape in WEIGHTS.items():
        value = random.normal(0, 0.4, shape).astype(np.float32)
        model.graph.initializer.append(numpy_helper.from_array(value, name))
    onnx.save(model, folder / "float.onnx")

    class Reader(quantization.CalibrationDataReader):
        batches = iter([{"x": random.uniform(0, 1, (64, 3, 8, 8)).astype(np.float32)}])

        def get_next(self):
            return next(self.batches, None)

    quantization.quantize_static(
        folder / "float.onnx", folder / "int8.onnx", Reader(), per_channel=True
    )
    return onnx.load(folder / "int8.onnx")


def unrounded(model: onnx.ModelProto, images: np.ndarray, errors: dict | None) -> tuple:
    """Run `model` in float64 with each quantisation of an activation replaced by its clipping plus
    the rounding error in `errors`; with None they are found and returned."""
    values = {t.name: numpy_helper.to_array(t) for t in model.graph.initializer} | {"x": images}
    found = {}
    for node in model.graph.node:
        inputs = [values[name] for name in node.input]
        if node.op_type == "QuantizeLinear":
            x, scale, zero = inputs
            bounds = np.iinfo(zero.dtype)
            low, high = ((k - zero.astype(float)) * scale for k in (bounds.min, bounds.max))
            clipped = np.clip(x, low, high)
            rounded = np.clip(np.rint(x / scale) + zero, bounds.min, bounds.max)
            found[node.output[0]] = (rounded - zero.astype(float)) * scale - clipped
            result = clipped + (found if errors is None else errors)[node.output[0]]
        elif node.op_type == "DequantizeLinear" and inputs[0].dtype.kind == "f":
            result = inputs[0]
        elif node.op_type == "DequantizeLinear":
            axis = next((a.i for a in node.attribute if a.name == "axis"), 1)
            shape = [-1 if i == axis else 1 for i in range(inputs[0].ndim)]
            scale, zero = (np.reshape(v.astype(float), shape if v.ndim else ()) for v in inputs[1:])
            result = (inputs[0] - zero) * scale
        else:
            result = ReferenceEvaluator(node).run(None, dict(zip(node.input, inputs, strict=True)))[
                0
            ]
        values[node.output[0]] = result
    return values[model.graph.output[0].name], found


def test_an_int8_network_is_followed_through_its_clippings(int8):
    operators = [node.op_type for node in int8.graph.node]
    # their work is done by the quantiser
    assert "Relu" not in operators and "QuantizeLinear" in operators
    images = np.random.default_rng(2).uniform(0, 1, (3, 3, 8, 8)).astype(np.float32)
    labels = np.array([0, 1, 2])
    slopes = np.eye(5, dtype=np.float32)[labels] - 0.3
    model = input_gradient_model(int8, "linear")
    result = in_onnxruntime(model, images=images, slopes=slopes)
    # what the file itself computes, in whole numbers, but for a step or two of the quantiser
    deployed = in_onnxruntime(int8, x=images)["y"]
    np.testing.assert_allclose(result["logits"], deployed, atol=0.2)
    for image, slope, gradient in zip(
        images.astype(float), slopes, result["gradient"], strict=True
    ):
        _, errors = unrounded(int8, image[None], None)
        expected = by_differences(
            lambda x, e=errors, s=slope: unrounded(int8, x, e)[0] @ s.astype(float), image, 1e-6
        )
        assert np.abs(expected).max() > 0.01
        np.testing.assert_allclose(gradient, expected, atol=1e-4 * np.abs(expected).max())


def test_the_clipping_is_not_lost_on_the_way(int8):
    """Without it the gradient would be that of the network without its rectifiers."""
    images = np.random.default_rng(2).uniform(0, 1, (3, 3, 8, 8)).astype(np.float32)
    slopes = np.ones((3, 5), np.float32)
    made = input_gradient_model(int8, "linear")
    clipped = in_onnxruntime(made, images=images, slopes=slopes)["gradient"]
    everything = onnx.ModelProto()
    everything.CopyFrom(made)
    for node in everything.graph.node:
        if node.name.startswith("gradient/And"):
            node.op_type = "Or"
    unclipped = in_onnxruntime(everything, images=images, slopes=slopes)["gradient"]
    assert np.linalg.norm(unclipped - clipped) > 0.3 * np.linalg.norm(clipped)


def test_weights_are_floats_in_the_gradient(int8):
    made = input_gradient_model(int8, "linear")
    constants = {tensor.name for tensor in made.graph.initializer}
    read = [n.input[0] for n in made.graph.node if n.op_type == "DequantizeLinear"]
    assert read and not constants.intersection(read)


def test_the_file_itself_says_what_its_logits_are(int8, tmp_path):
    """The gradient's graph computes in floats, and lands a step of a quantiser beside it."""
    onnx.save(int8, tmp_path / "int8.onnx")
    images = np.random.default_rng(3).uniform(0, 1, (16, 8, 8, 3)).astype(np.float32)
    classifier = OnnxClassifier(tmp_path / "int8.onnx")
    told, _, _ = classifier.loss_and_gradient(images, np.zeros(16, np.int64))
    (own,) = in_onnxruntime(int8, x=images.transpose(0, 3, 1, 2)).values()
    np.testing.assert_array_equal(told, own)
