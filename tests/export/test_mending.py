"""Files that onnxruntime runs as they are, and onnx's own tools do not take."""

from __future__ import annotations

import numpy as np
import onnx

from rnascl_keras.export import OnnxClassifier
from tests.file_gradients import IMAGES, LABELS, check_against_differences
from tests.small_onnx import CONVOLUTIONS


def check_like_plain(path, plain):
    """Check a file against differences, and its logits and gradient against a plain one's."""
    check_against_differences(path)
    given, expected = (OnnxClassifier(p).loss_and_gradient(IMAGES, LABELS) for p in (path, plain))
    for a, b in zip(given, expected, strict=True):
        np.testing.assert_allclose(a, b, atol=1e-5)


def changed(path, change):
    """Change a file's model in place; return the path."""
    model = onnx.load(path)
    change(model)
    onnx.save(model, path)
    return path


def test_functions_of_another_opset(save):
    own = """<opset_import: ["": 16, "own": 1], domain: "own"> {name} (x) => (y) {{ {body} }}"""
    bodies = {"Steep": "y = LeakyRelu<alpha=0.3>(x)", "Twice": "t = own.Steep(x) y = own.Steep(t)"}

    def add(model):
        model.opset_import.append(onnx.helper.make_opsetid("own", 1))
        texts = (own.format(name=name, body=body) for name, body in bodies.items())
        model.functions.extend(map(onnx.parser.parse_function, texts))

    steep = "LeakyRelu<alpha=0.3>"
    plain = save(f"m = {steep}(x) n = {steep}(m)" + CONVOLUTIONS)
    check_like_plain(changed(save("n = own.Twice(x)" + CONVOLUTIONS), add), plain)
