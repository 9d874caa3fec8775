"""Files without a float graph: their twin's gradient, and the file's own logits."""

from __future__ import annotations

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper, numpy_helper

from rnascl_keras.attacks import PGD, losses
from rnascl_keras.errors import UserError
from rnascl_keras.export import OnnxClassifier
from rnascl_keras.export.twin.float_twin import float_twin
from tests.small_onnx import CONVOLUTIONS

LABELS = np.array([0, 1, 2, 3, 4, 0])
IMAGES = np.rint(255 * np.random.default_rng(1).uniform(0, 1, (6, 8, 8, 3))).astype(np.float32)
IMAGES /= 255
NETWORK = """
  a = Conv<pads=[1, 1, 1, 1]>(n, w1, b1)
  b = Relu(a)
  m = MaxPool<kernel_shape=[2, 2], strides=[2, 2]>(b)
  c = Conv(m, w2, b2)
  d = Relu(c)
  f = GlobalAveragePool(d)
  y = Flatten(f)
  z = MatMul(y, w3)
"""
ARRAYS = {
    "b1": np.linspace(1, 2, 6),
    "b2": np.linspace(3, 4, 5),
    "w3": np.random.default_rng(2).normal(size=(5, 5)),
}


def quantised(path, out, **settings):
    """Quantise a file as onnxruntime does, on the images."""
    from onnxruntime import quantization

    class Reader(quantization.CalibrationDataReader):
        batches = iter([{"x": IMAGES.transpose(0, 3, 1, 2)}])

        def get_next(self):
            return next(self.batches, None)

    if settings.pop("dynamic", False):
        quantization.quantize_dynamic(path, out, **settings)
    else:
        quantization.quantize_static(path, out, Reader(), **settings)
    return out


def operators(path):
    return {node.op_type for node in onnx.load(path).graph.node}


def file_logits(path):
    """Of one image at a time: dynamic quantisation takes the range of a whole batch."""
    session = onnxruntime.InferenceSession(path)
    rows = [session.run(None, {"x": image[None].transpose(0, 3, 1, 2)})[0] for image in IMAGES]
    return np.concatenate(rows)


def cosine(a, b):
    a, b = (x.reshape(len(x), -1).astype(float) for x in (a, b))
    return (a * b).sum(1) / np.linalg.norm(a, axis=1) / np.linalg.norm(b, axis=1)


def settings_of(kind):
    from onnxruntime.quantization import QuantFormat, QuantType

    kernels = {"quant_format": QuantFormat.QOperator, "weight_type": QuantType.QInt8}
    return {
        "static": kernels,
        "static, per channel": kernels | {"per_channel": True},
        "static, signed": kernels | {"activation_type": QuantType.QInt8},
        "dynamic": {"dynamic": True, "weight_type": QuantType.QUInt8},
    }[kind]


@pytest.mark.parametrize(
    ("kind", "kernels"),
    [
        ("static", {"QLinearConv", "QLinearMatMul", "QLinearGlobalAveragePool"}),
        ("static, per channel", {"QLinearConv", "QLinearMatMul"}),
        ("static, signed", {"QLinearConv"}),
        ("dynamic", {"ConvInteger", "MatMulInteger", "DynamicQuantizeLinear"}),
    ],
)
def test_integer_kernels(kind, kernels, save, tmp_path):
    plain = save("n = Identity(x)" + NETWORK, **ARRAYS)
    made = quantised(plain, tmp_path / "made.onnx", **settings_of(kind))
    assert kernels <= operators(made)
    classifier, expected = OnnxClassifier(made), OnnxClassifier(plain)
    logits, loss, gradient = classifier.loss_and_gradient(IMAGES, LABELS, "log_odds")
    np.testing.assert_array_equal(logits, file_logits(made))
    np.testing.assert_allclose(loss, losses.log_odds(np, logits, LABELS, LABELS)[0], atol=1e-5)
    # rectifiers near 0 can be on in one and off in the other
    true = expected.loss_and_gradient(IMAGES, LABELS, "log_odds")[2]
    assert np.median(cosine(gradient, true)) > 0.98
    assert classifier.agreement(IMAGES) == 1.0
    twin = OnnxClassifier(made)._gradients.of("log_odds", IMAGES)
    given = {"images": IMAGES[:1].transpose(0, 3, 1, 2), "labels": LABELS[:1]}
    twins = twin.run(["logits"], given)[0]
    np.testing.assert_allclose(twins, logits[:1], atol=0.02 * np.abs(logits).max())


def test_half_precision(save, tmp_path):
    plain = save("n = Identity(x)" + CONVOLUTIONS)
    model = onnx.load(plain)
    for tensor in model.graph.initializer:
        half = numpy_helper.to_array(tensor).astype(np.float16)
        tensor.CopyFrom(numpy_helper.from_array(half, tensor.name))
    for value in (*model.graph.input, *model.graph.output):
        value.type.tensor_type.elem_type = TensorProto.FLOAT16
    path = tmp_path / "half.onnx"
    onnx.save(model, path)
    classifier, expected = OnnxClassifier(path), OnnxClassifier(plain)
    logits, _, gradient = classifier.loss_and_gradient(IMAGES, LABELS)
    session = onnxruntime.InferenceSession(path)
    given = IMAGES.transpose(0, 3, 1, 2).astype(np.float16)
    np.testing.assert_array_equal(logits, session.run(None, {"x": given})[0])
    true = expected.loss_and_gradient(IMAGES, LABELS)[2]
    np.testing.assert_allclose(gradient, true, atol=2e-3 * np.abs(true).max())


BYTES = {
    "cast": ("i = Cast<to=1>(x) n = Div(i, most)", "NCHW"),
    "moved as bytes": (
        "t = Transpose<perm=[0, 3, 1, 2]>(x) i = Cast<to=1>(t) n = Div(i, most)",
        "NHWC",
    ),
    "dequantised": ("n = DequantizeLinear(x, scale, zero)", "NCHW"),
}


@pytest.mark.parametrize("kind", BYTES)
def test_pixels_as_bytes(kind, save):
    nodes, layout = BYTES[kind]
    takes = "uint8[N, 8, 8, 3] x" if layout == "NHWC" else "uint8[N, 3, 8, 8] x"
    arrays = {"most": np.float32(255), "scale": np.float32(1 / 255), "zero": np.uint8(0)}
    path = save(nodes + CONVOLUTIONS, takes=takes, **arrays)
    classifier = OnnxClassifier(path)
    assert (classifier.layout, classifier.takes_whole_pixels) == (layout, True)
    expected = OnnxClassifier(save("n = Identity(x)" + CONVOLUTIONS))
    given = classifier.loss_and_gradient(IMAGES, LABELS)
    for a, b in zip(given, expected.loss_and_gradient(IMAGES, LABELS), strict=True):
        np.testing.assert_allclose(a, b, atol=1e-5)
    # what is between whole pixels is seen as the nearest
    shifted = np.clip(IMAGES + 0.4 / 255, 0, 1)
    np.testing.assert_allclose(classifier.logits(shifted), classifier.logits(IMAGES))


def test_a_float_graph_is_its_own_twin(save):
    model = onnx.load(save("n = Identity(x)" + CONVOLUTIONS))
    twin = float_twin(model)
    assert twin.model is model and twin.same_logits


def test_an_attack_goes_by_what_the_file_itself_answers(save, tmp_path):
    plain = save("n = Identity(x)" + NETWORK, **ARRAYS)
    made = quantised(plain, tmp_path / "made.onnx", **settings_of("static"))
    labels = file_logits(made).argmax(1)
    attacked = PGD(0.2).perturb(OnnxClassifier(made), IMAGES, labels)
    session = onnxruntime.InferenceSession(made)
    answers = session.run(None, {"x": attacked.transpose(0, 3, 1, 2)})[0].argmax(1)
    assert (answers != labels).any()


@pytest.mark.parametrize(
    ("op_type", "inputs", "attributes"),
    [
        ("QLinearAdd", "xxxxxxyy", {}),
        ("QLinearMul", "xxxxxxyy", {}),
        ("QLinearSigmoid", "xxxyy", {}),
        ("QLinearLeakyRelu", "xxxyy", {"alpha": 0.2}),
        ("QLinearAveragePool", "xxxyy", {"kernel_shape": [2, 2]}),
        ("QLinearAveragePool", "xxxyy", {"kernel_shape": [2, 2], "channels_last": 1}),
        ("QLinearConcat", "yyxxxxxx", {"axis": 1}),
    ],
)
def test_kernels_of_onnxruntimes_own(op_type, inputs, attributes, tmp_path):
    """The twin gives what onnxruntime gives, to one step of the quantisation."""
    names = {"xxx": ["q", "s", "o"], "yy": ["t", "p"]}
    given, rest = [], inputs
    while rest:
        part = "xxx" if rest.startswith("xxx") else "yy"
        given += names[part]
        rest = rest[len(part) :]
    domain = "com.microsoft"
    nodes = [
        helper.make_node("QuantizeLinear", ["x", "s", "o"], ["q"]),
        helper.make_node(op_type, given, ["r"], domain=domain, **attributes),
        helper.make_node("DequantizeLinear", ["r", "t", "p"], ["d"]),
        helper.make_node("Flatten", ["d"], ["y"]),
    ]
    constants = {"s": np.float32(0.01), "o": np.uint8(20), "t": np.float32(0.02), "p": np.uint8(9)}
    graph = helper.make_graph(
        nodes,
        "g",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", 3, 8, 8])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["n", None])],
        [numpy_helper.from_array(value, name) for name, value in constants.items()],
    )
    opsets = [helper.make_opsetid("", 17), helper.make_opsetid(domain, 1)]
    path = tmp_path / "m.onnx"
    onnx.save(helper.make_model(graph, opset_imports=opsets, ir_version=8), path)
    classifier = OnnxClassifier(path)
    logits = classifier.logits(IMAGES)
    assert logits.std() > 0.02
    twin = onnxruntime.InferenceSession(float_twin(onnx.load(path)).model.SerializeToString())
    (twins,) = twin.run(None, {"x": IMAGES.transpose(0, 3, 1, 2)})
    np.testing.assert_allclose(twins, logits, atol=0.0201)
    assert classifier.loss_and_gradient(IMAGES, LABELS, "margin")[2].any()


# onnx knows no shape of what an operator of onnxruntime's own gives
SUM = "q = QuantizeLinear(x, s, o) r = com.microsoft.QLinearAdd(q, s, o, q, s, o, t, o)"
POOL = "w = com.microsoft.QLinearGlobalAveragePool<channels_last=1>({}, t, o, t, o)"
ENDING = "d = DequantizeLinear(w, t, o) y = Flatten(d) z = MatMul(y, mix)"
BEHIND = {
    "pool": f"{SUM} {POOL.format('r')} {ENDING}",
    "pool behind a stranger": f"{SUM} m = com.microsoft.NhwcMaxPool<kernel_shape=[2, 2]>(r)"
    f" {POOL.format('m')} {ENDING}",
    "scales of channels": f"{SUM} c = ConvInteger(r, k, o, o) d = DequantizeLinear(c, v)"
    " f = GlobalAveragePool(d) y = Flatten(f) z = MatMul(y, mix)",
    "scales of the last axis": f"{SUM} c = ConvInteger(r, k, o, o)"
    " d = DequantizeLinear<axis=-1>(c, v) y = Flatten(d) z = MatMul(y, wide)",
}
SOFTMAX = "w = com.microsoft.QLinearSoftmax<axis=1, opset={}>({}, t, o, u, o) d = "
SOFTMAX += "DequantizeLinear(w, u, o) y = Flatten(d) z = MatMul(y, wide)"
BEHIND |= {
    "softmax": f"q = QuantizeLinear(x, s, o) {SOFTMAX.format(13, 'q')}",
    "softmax over all from its axis on": f"q = QuantizeLinear(x, s, o) {SOFTMAX.format(12, 'q')}",
}
REFUSED = {
    "softmax over all from its axis on": "QLinearSoftmax",
    "pool behind a stranger": "NhwcMaxPool",
    "scales of channels": "Cast",
}


@pytest.mark.parametrize("kind", BEHIND)
def test_behind_an_operator_of_unknown_shape(kind, save):
    """The twin gives what the file gives, though all axes are as long; else it has no gradient."""
    random = np.random.default_rng(3)
    path = save(
        BEHIND[kind],
        takes="float[N, 3, 3, 3] x",
        opset=17,
        imports=[helper.make_opsetid("com.microsoft", 1)],
        s=np.float32(1 / 255),
        t=np.float32(2 / 255),
        u=np.float32(1 / 256),
        o=np.uint8(0),
        k=random.integers(0, 9, (3, 3, 1, 1)).astype(np.uint8),
        v=np.float32([0.001, 0.01, 0.05]),
        mix=random.normal(size=(3, 5)),
        wide=random.normal(size=(27, 5)),
    )
    images = IMAGES[:, :3, :3]
    given = {"x": images.transpose(0, 3, 1, 2)}
    twin = float_twin(onnx.load(path)).model.SerializeToString()
    answers, twins = (onnxruntime.InferenceSession(x).run(None, given)[0] for x in (path, twin))
    assert answers.std() > 0.005
    np.testing.assert_allclose(twins, answers, atol=0.02 * np.abs(answers).max())
    classifier = OnnxClassifier(path, layout="NCHW")
    if kind in REFUSED:
        with pytest.raises(UserError, match=f"no gradient through .*{REFUSED[kind]}"):
            classifier.check_gradient(images)
        return
    slopes = classifier.loss_and_gradient(images, LABELS, "margin")[2]
    assert (np.abs(slopes).max(axis=(1, 2, 3)) > 1e-3).all()
