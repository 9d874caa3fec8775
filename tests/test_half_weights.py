"""Files with weights in half precision: the network of the rounded weights, in float32."""

from __future__ import annotations

import keras
import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper, numpy_helper

from benchmarks import cards
from benchmarks.half_weights import halve_onnx

SHAPE = (3, 4)


@pytest.fixture
def weights() -> np.ndarray:
    return np.random.default_rng(0).normal(size=SHAPE).astype(np.float32)


def dense(weights: np.ndarray) -> onnx.ModelProto:
    """Return `x` times the weights, plus a bias."""
    takes, gives = (
        helper.make_tensor_value_info(name, TensorProto.FLOAT, ["batch", size])
        for name, size in zip("xy", SHAPE, strict=True)
    )
    initializers = [
        numpy_helper.from_array(weights, "w"),
        numpy_helper.from_array(np.full(4, 0.1, np.float32), "b"),
    ]
    node = helper.make_node("Gemm", ["x", "w", "b"], ["y"])
    graph = helper.make_graph([node], "dense", [takes], [gives], initializers)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=8)


def test_a_halved_keras_file_holds_the_rounded_weights_in_float32(weights, tmp_path):
    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(4, name="dense")])
    model.layers[0].set_weights([weights, np.full(4, 0.1)])
    model.save(tmp_path / "whole.keras")
    assert cards.pack_keras(tmp_path / "whole.keras", tmp_path / "small.keras") == "float32"
    assert cards.pack_keras(tmp_path / "whole.keras", tmp_path / "half.keras", 0) == "float16"
    for name, expected in (("small", weights), ("half", weights.astype(np.float16))):
        kernel = keras.models.load_model(tmp_path / f"{name}.keras").layers[0].kernel
        assert kernel.dtype == "float32"
        np.testing.assert_array_equal(np.asarray(kernel), expected)


def test_a_halved_onnx_file_computes_with_the_rounded_weights(weights):
    model = dense(weights)
    halve_onnx(model)
    assert {tensor.data_type for tensor in model.graph.initializer} == {TensorProto.FLOAT16}
    session = onnxruntime.InferenceSession(model.SerializeToString())
    x = np.eye(3, dtype=np.float32)
    (found,) = session.run(None, {"x": x})
    rounded = weights.astype(np.float16).astype(np.float32) + np.float32(np.float16(0.1))
    np.testing.assert_allclose(found, rounded, rtol=1e-6)


def test_a_weight_beyond_half_precision_is_told(weights):
    weights[0, 0] = 1e5
    with pytest.raises(ValueError, match="100000 does not fit into half precision"):
        halve_onnx(dense(weights))
