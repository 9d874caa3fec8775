"""Files that onnxruntime has optimised: its fused operators, against the file as it was."""

from __future__ import annotations

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import numpy_helper

from rnascl_keras.export import OnnxClassifier
from tests.file_gradients import IMAGES, LABELS, check_against_differences

GELU = "{h}1 = Div({x}, root) {h}2 = Erf({h}1) {h}3 = Add({h}2, one) {h}4 = Mul({x}, {h}3)"
CONVOLUTIONS = (
    "a = Conv<pads=[1, 1, 1, 1]>(x, w1) b = Relu(a) c = Conv<strides=[2, 2]>(b, w2)"
    " d = LeakyRelu<alpha=0.2>(c) f = GlobalAveragePool(d) g = Flatten(f) "
)
TOKENS = (
    CONVOLUTIONS + "m = Add(g, offset) " + GELU.format(h="u", x="m") + " k = Mul(u4, half)"
    " v = Add(k, g) n = LayerNormalization<axis=-1>(v, scale, offset)"
    " t = Transpose<perm=[1, 0]>(w3) p = MatMul(n, t) z = Mul(p, half)"
)
ARRAYS = {
    "root": np.float32(2**0.5),
    "one": np.float32(1),
    "half": np.float32(0.5),
    "scale": np.linspace(0.5, 1.5, 5),
    "offset": np.linspace(-0.3, 0.3, 5),
    "w3": np.random.default_rng(2).normal(size=(5, 5)),
}


def optimised(path, out):
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    extended = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_EXTENDED
    options.graph_optimization_level = extended
    options.optimized_model_filepath = str(out)
    onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    return out


def test_what_onnxruntime_has_fused_has_the_gradient_of_its_parts(save, tmp_path):
    plain = save(TOKENS, **ARRAYS)
    made = optimised(plain, tmp_path / "made.onnx")
    fused = {node.op_type for node in onnx.load(made).graph.node if node.domain}
    assert {"FusedConv"} < fused, fused
    given = OnnxClassifier(made).loss_and_gradient(IMAGES, LABELS)
    expected = OnnxClassifier(plain).loss_and_gradient(IMAGES, LABELS)
    for a, b in zip(given, expected, strict=True):
        np.testing.assert_allclose(a, b, atol=1e-5)
    assert OnnxClassifier(made).agreement(IMAGES) == 1.0


@pytest.mark.parametrize(
    "activation",
    [
        "Elu<alpha=0.4>",
        "Selu<alpha=1.2, gamma=0.8>",
        "ThresholdedRelu<alpha=0.3>",
        "HardSigmoid<alpha=0.1, beta=0.7>",
    ],
)
def test_a_fused_product_keeps_its_activations_parameters(activation, save, tmp_path):
    random = np.random.default_rng(3)
    arrays = {"hidden": random.normal(0, 0.2, (192, 9)), "last": random.normal(size=(9, 5))}
    nodes = f"l = Flatten(x) g = Gemm(l, hidden) h = {activation}(g) z = Gemm(h, last)"
    plain = save(nodes, opset=17, **arrays)
    made = optimised(plain, tmp_path / "made.onnx")
    assert "FusedGemm" in {node.op_type for node in onnx.load(made).graph.node}
    given = OnnxClassifier(made).loss_and_gradient(IMAGES, LABELS)
    expected = OnnxClassifier(plain).loss_and_gradient(IMAGES, LABELS)
    for a, b in zip(given, expected, strict=True):
        np.testing.assert_allclose(a, b, atol=1e-5)


@pytest.mark.parametrize(
    "nodes",
    [
        "z = com.microsoft.Gelu(g)",
        "z = com.microsoft.BiasGelu(g, offset)",
        "z = com.microsoft.FastGelu(g)",
        "z = com.microsoft.FastGelu(g, offset)",
        "z = com.microsoft.QuickGelu<alpha=1.0>(g)",
        'z = com.microsoft.FusedGemm<activation="LeakyRelu", activation_alpha=0.3, transB=1>'
        "(g, w3, offset)",
        'h = com.microsoft.FusedGemm<activation="Tanh">(g, w3) z = Exp(h)',
        "z = com.microsoft.FusedMatMul<alpha=0.7, transB=1>(g, w3)",
        "t = Transpose<perm=[1, 0]>(g) z = com.microsoft.FusedMatMul<transA=1>(t, w3)",
        "z = com.microsoft.SkipLayerNormalization<epsilon=0.1>(g, g, scale, offset)",
        "h, s, v, u = com.microsoft.SkipLayerNormalization<epsilon=0.1>"
        "(g, g, scale, offset, offset) z = Mul(h, u)",
        'e = com.microsoft.FusedConv<activation="HardSigmoid", activation_params=[0.2, 0.4]>'
        "(x, k, b) i = GlobalAveragePool(e) z = Flatten(i)",
        'e = com.microsoft.FusedConv<activation="Clip", activation_params=[-9.0, 9.0]>(x, k, b)'
        " i = GlobalAveragePool(e) z = Flatten(i)",
        'e = com.microsoft.FusedConv<activation="Tanh">(x, k, b) q = com.microsoft.FusedConv'
        '<activation="Sigmoid">(x, k, b, e) i = GlobalAveragePool(q) z = Flatten(i)',
    ],
)
def test_each_fused_operator_against_differences(nodes, tmp_path):
    text = '<ir_version: 8, opset_import: ["": 17, "com.microsoft": 1]>'
    body = "l = Flatten(x) g = MatMul(l, w) " + nodes
    model = onnx.parser.parse_model(f"{text} g (float[N, 3, 8, 8] x) => (float[N, 5] z) {{{body}}}")
    random = np.random.default_rng(3)
    arrays = {"w": random.normal(0, 0.3, (192, 5)), "k": random.normal(0, 0.2, (5, 3, 3, 3))}
    for name, value in (ARRAYS | arrays | {"b": np.linspace(-0.2, 0.2, 5)}).items():
        tensor = numpy_helper.from_array(np.asarray(value, np.float32), name)
        model.graph.initializer.append(tensor)
    path = tmp_path / "fused.onnx"
    onnx.save(model, path)
    check_against_differences(path)


@pytest.mark.parametrize(
    "nodes",
    [
        "z = com.microsoft.FusedMatMul<alpha=0.7, transB=1>(g, w3)",
        "h = com.microsoft.FusedMatMul<alpha=0.7>(g, w3)"
        " z = com.microsoft.FusedMatMul<alpha=1.3>(h, w3)",
    ],
)
def test_fused_operators_in_double_precision(nodes, save):
    """Of what follows a fused operator onnx knows no type."""
    nodes = "d = Cast<to=11>(x) l = Flatten(d) g = MatMul(l, wide) " + nodes
    wide = np.random.default_rng(3).normal(0, 0.3, (192, 5))
    arrays = {"wide": wide, "w3": ARRAYS["w3"]}
    imports = (onnx.helper.make_opsetid("com.microsoft", 1),)
    path = save(nodes, gives="double[N, 5] z", opset=17, imports=imports, double=True, **arrays)
    check_against_differences(path)
