"""Files whose answers hang on how a processor adds products of bytes: told, and never made."""

from __future__ import annotations

import platform
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import numpy_helper

from rnascl_keras.evaluation.facts import SATURATES
from rnascl_keras.evaluation.onnx_file import attack_files
from rnascl_keras.evaluation.request import Request
from rnascl_keras.export import OnnxClassifier
from rnascl_keras.export.byte_products import products_saturate, saturates
from rnascl_keras.export.quantise import quantise
from rnascl_keras.files.whole import read_json

FLAGS = Path("/proc/cpuinfo")
RANDOM = np.random.default_rng(0)
IMAGES = RANDOM.random((64, 4, 4, 3)).astype(np.float32)
KERNEL = np.abs(RANDOM.normal(0, 1, (6, 3, 3, 3))).astype(np.float32)  # sums of products are large
QDQ = """
  q = QuantizeLinear(images, by, zero)
  x = DequantizeLinear(q, by, zero)
  w = DequantizeLinear(kernel, by, none)
  c = Conv(x, w)
  r = QuantizeLinear(c, step, zero)
  y = DequantizeLinear(r, step, zero)
  p = GlobalAveragePool(y)
  logits = Flatten(p)
"""


def qdq(path, largest, weights="initializer"):
    """Save a quantised convolution whose weights are at most `largest`, and lie in some way."""
    kernel = np.round(KERNEL / KERNEL.max() * largest).astype(np.int8)
    text = QDQ
    arrays = {"by": np.float32(1 / 255), "zero": np.uint8(0), "none": np.int8(0)}
    arrays |= {"step": np.float32(0.02), "kernel": kernel}
    if weights == "floats":
        text = "kernel = QuantizeLinear(floats, by, none)\n" + text
        arrays["floats"] = arrays.pop("kernel").astype(np.float32) / 255
    model = onnx.parser.parse_model(
        '<ir_version: 8, opset_import: ["": 13]> '
        f"net (float[batch,3,4,4] images) => (float[batch,6] logits) {{ {text} }}"
    )
    if weights == "constant":
        made = onnx.helper.make_tensor(
            "kernel", onnx.TensorProto.INT8, kernel.shape, kernel.ravel()
        )
        model.graph.node.insert(0, onnx.helper.make_node("Constant", [], ["kernel"], value=made))
        del arrays["kernel"]
    for name, array in arrays.items():
        model.graph.initializer.append(numpy_helper.from_array(np.asarray(array), name))
    onnx.checker.check_model(model, full_check=True)
    onnx.save(model, path)
    return path


def logits(path, images, level):
    """Return what a file says with onnxruntime's kernels for bytes, or without them."""
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = level
    session = onnxruntime.InferenceSession(path, options)
    (name,) = (value.name for value in session.get_inputs())
    return session.run(None, {name: images})[0]


def as_deployed_and_exact(path, images):
    levels = onnxruntime.GraphOptimizationLevel
    return [logits(path, images, x) for x in (levels.ORT_ENABLE_ALL, levels.ORT_DISABLE_ALL)]


@pytest.mark.skipif(
    platform.machine() != "x86_64" or not FLAGS.exists(),
    reason="which processors add products of bytes in 16 bits is known of x86 under Linux only",
)
def test_the_products_saturate_where_the_processor_has_no_vnni():
    assert products_saturate() == ("vnni" not in FLAGS.read_text())


@pytest.mark.parametrize("weights", ["initializer", "constant", "floats"])
def test_large_signed_weights_are_found_however_they_lie(tmp_path, weights):
    model = onnx.load(qdq(tmp_path / "net.onnx", 127, weights))
    assert saturates(model) == products_saturate()


def test_small_weights_saturate_nowhere(tmp_path):
    path = qdq(tmp_path / "net.onnx", 64)
    assert not saturates(onnx.load(path))
    deployed, exact = as_deployed_and_exact(path, IMAGES.transpose(0, 3, 1, 2))
    np.testing.assert_allclose(deployed, exact, atol=0.021)  # a quantiser's step


def test_a_file_is_called_the_processors_own_exactly_where_it_is(tmp_path):
    path = qdq(tmp_path / "net.onnx", 127)
    deployed, exact = as_deployed_and_exact(path, IMAGES.transpose(0, 3, 1, 2))
    differ = np.abs(deployed - exact).max() > 0.1
    assert OnnxClassifier(path).saturates == differ


def test_our_own_int8_files_answer_alike_on_every_processor(tmp_path):
    arrays = {"kernel": 3 * KERNEL, "bias": RANDOM.normal(0, 1, 6).astype(np.float32)}
    model = onnx.parser.parse_model(
        '<ir_version: 8, opset_import: ["": 18]> net (float[batch,4,4,3] images) => '
        "(float[batch,6] logits) { t = Transpose<perm=[0, 3, 1, 2]>(images) "
        "c = Conv(t, kernel, bias) r = Relu(c) p = GlobalAveragePool(r) logits = Flatten(p) }"
    )
    for name, array in arrays.items():
        model.graph.initializer.append(numpy_helper.from_array(array, name))
    onnx.save(model, tmp_path / "net.onnx")
    made = quantise(tmp_path / "net.onnx", tmp_path / "int8.onnx", IMAGES, least_agreement=0)
    weights = [numpy_helper.to_array(t) for t in onnx.load(made.path).graph.initializer]
    kernels = [w for w in weights if w.dtype == np.int8 and w.ndim == 4]
    assert max(np.abs(w.astype(int)).max() for w in kernels) == 64
    deployed, exact = as_deployed_and_exact(made.path, IMAGES)
    np.testing.assert_allclose(deployed, exact, atol=0.02 * np.ptp(exact))
    assert not OnnxClassifier(made.path).saturates


def test_whoever_attacks_such_a_file_is_told(tmp_path, monkeypatch):
    monkeypatch.setattr("rnascl_keras.export.byte_products.products_saturate", lambda: True)
    path, said = qdq(tmp_path / "net.onnx", 127), []
    np.savez(tmp_path / "data.npz", x=IMAGES, y=np.arange(64) % 6)
    files = {"out": tmp_path / "facts.json", "page": tmp_path / "page.html"}
    request = Request(str(tmp_path / "data.npz"), None, ("fgsm",), 0.01, 8, 0, check=0, **files)
    attack_files([path], request, trust=True, say=said.append)
    assert f"net.onnx: {SATURATES}" in said
    assert read_json(files["out"])["depends_on_processor"] == SATURATES
    assert "roducts of bytes saturate" in files["page"].read_text()
