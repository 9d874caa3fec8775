"""What onnxruntime makes of a gradient's graph: its fast layout has to survive an open batch."""

from __future__ import annotations

from collections import Counter

import numpy as np
import onnx
import onnxruntime
import pytest
from gradient_cases import in_onnxruntime
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from onnx import numpy_helper, parser

from rnascl_keras.export.onnx_gradient import input_gradient_model

INVERTED_RESIDUAL = """
    e = Conv<pads=[1, 1, 1, 1]>(x, w1)
    f = Relu(e)
    g = Conv<group=16, pads=[1, 1, 1, 1], strides=[2, 2]>(f, w2)
    h = Relu(g)
    i = Conv(h, w3)
    j = Relu(i)
    k = Conv<group=16, pads=[1, 1, 1, 1]>(j, w2)
    l = Relu(k)
    m = Conv(l, w3)
    o = Add(i, m)
"""
SLICED_SHORTCUT = """
    e = Conv<pads=[1, 1, 1, 1]>(x, w1)
    f = Relu(e)
    s = Slice(f, starts, ends, axes, steps)
    i = Conv(s, w3)
    k = Conv<pads=[1, 1, 1, 1], strides=[2, 2]>(f, w4)
    l = Relu(k)
    m = Conv(l, w3)
    o = Add(i, m)
"""
HEAD = "p = Relu(o) q = GlobalAveragePool(p) r = Flatten(q) y = Gemm(r, w5)"
SHAPES = {
    "w1": (16, 3, 3, 3),
    "w2": (16, 1, 3, 3),
    "w3": (16, 16, 1, 1),
    "w4": (16, 16, 3, 3),
    "w5": (16, 5),
}
# as TensorFlow slices: the batch's axis too
SLICES = {"starts": [0, 0, 0], "ends": [10**9] * 3, "axes": [0, 2, 3], "steps": [1, 2, 2]}


def network(body):
    made = parser.parse_model(
        '<ir_version: 8, opset_import: ["": 18]> '
        f"g (float[N,3,16,16] x) => (float[N,5] y) {{ {body} {HEAD} }}"
    )
    random = np.random.default_rng(0)
    arrays = {name: random.normal(0, 0.3, shape) for name, shape in SHAPES.items()}
    arrays = {name: array.astype(np.float32) for name, array in arrays.items()}
    arrays |= {name: np.array(value) for name, value in SLICES.items()}
    used = {name for node in made.graph.node for name in node.input}
    made.graph.initializer.extend(
        numpy_helper.from_array(array, name) for name, array in arrays.items() if name in used
    )
    return made


def optimised(model, path, batch=None):
    """The operators that onnxruntime makes of a model, counted."""
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    options.optimized_model_filepath = str(path)
    if batch is not None:
        options.add_free_dimension_override_by_name("N", batch)
    onnxruntime.InferenceSession(
        model.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )
    return Counter(node.op_type for node in onnx.load(path).graph.node)


@pytest.mark.parametrize("body", [INVERTED_RESIDUAL, SLICED_SHORTCUT])
def test_an_open_batch_leaves_the_fast_layout_no_more_often_than_a_fixed_one(body, tmp_path):
    made = input_gradient_model(network(body), "log_odds")
    open_, fixed = (optimised(made, tmp_path / f"{n}.onnx", n) for n in (None, 128))
    for operator in ("ReorderInput", "ReorderOutput"):
        assert open_[operator] <= fixed[operator]
    assert not {"ScatterElements", "NonZero"} & open_.keys()


@pytest.mark.parametrize("body", [INVERTED_RESIDUAL, SLICED_SHORTCUT])
def test_the_shapes_that_the_graph_names_are_those_that_come_out(body):
    made = input_gradient_model(network(body), "log_odds")
    named = {
        value.name: [axis.dim_value or axis.dim_param for axis in value.type.tensor_type.shape.dim]
        for value in made.graph.value_info
    }
    assert sum(name.startswith("gradient/") for name in named) > 10
    made.graph.output.extend(made.graph.value_info)
    images = np.random.default_rng(0).random((7, 3, 16, 16), np.float32)
    results = in_onnxruntime(made, images=images, labels=np.arange(7) % 5)
    for name, shape in named.items():
        assert [7 if size == "N" else size for size in shape] == list(results[name].shape)


def with_weights(text, weights):
    made = parser.parse_model(f'<ir_version: 8, opset_import: ["": 18]> g {text}')
    made.graph.initializer.append(numpy_helper.from_array(weights, "w"))
    return made


@settings(max_examples=25, deadline=None)
@given(
    sizes=st.tuples(st.integers(1, 9), st.integers(1, 9)),
    kernel=st.tuples(st.integers(1, 4), st.integers(1, 4)),
    strides=st.tuples(st.integers(1, 4), st.integers(1, 4)),
    pads=st.tuples(*[st.integers(0, 3)] * 4),
    channels=st.sampled_from([1, 3, 16]),
)
def test_a_depthwise_convolutions_gradient_is_the_transposed_convolution(
    sizes, kernel, strides, pads, channels
):
    """The form by zeros put between, against the one that other strided convolutions get."""
    padded = [s + a + b for s, a, b in zip(sizes, pads[:2], pads[2:], strict=True)]
    assume(all(p >= k for p, k in zip(padded, kernel, strict=True)))
    counts = [(p - k) // s + 1 for p, k, s in zip(padded, kernel, strides, strict=True)]
    # what lies behind the last window
    behind = [(p - k) % s for p, k, s in zip(padded, kernel, strides, strict=True)]
    attributes = f"group={channels}, strides={list(strides)}, pads={list(pads)}"
    random = np.random.default_rng(0)
    weights = random.normal(size=(channels, 1, *kernel)).astype(np.float32)
    images = random.normal(size=(2, channels, *sizes)).astype(np.float32)
    slopes = random.normal(size=(2, channels, *counts)).astype(np.float32)

    takes = f"float[N,{channels},{sizes[0]},{sizes[1]}] x"
    forward = with_weights(
        f"({takes}) => (float[N,K] y) {{ h = Conv<{attributes}>(x, w) y = Flatten(h) }}", weights
    )
    made = input_gradient_model(forward, "linear")
    operators = {node.op_type for node in made.graph.node}
    assert ("ConvTranspose" in operators) == (strides[0] * strides[1] > 4)
    gradient = in_onnxruntime(made, images=images, slopes=slopes.reshape(2, -1))["gradient"]

    nodes = f"x = ConvTranspose<{attributes}, output_padding={behind}>(g, w)"
    transposed = with_weights(f"(float[N,C,H,W] g) => (float[A,B,D,E] x) {{ {nodes} }}", weights)
    expected = in_onnxruntime(transposed, g=slopes)["x"]
    np.testing.assert_allclose(gradient, expected, atol=1e-5)


@pytest.mark.parametrize(("channels", "expected"), [(3, "ConvTranspose"), (8, "Conv")])
def test_the_gradient_of_few_channels_is_no_conv_of_many(channels, expected):
    """onnxruntime's Conv computes 8 or 16 channels where 3 are wanted."""
    weights = np.random.default_rng(0).normal(size=(16, channels, 3, 3)).astype(np.float32)
    nodes = "h = Conv<pads=[1, 1, 1, 1]>(x, w) y = Flatten(h)"
    forward = with_weights(f"(float[N,{channels},6,6] x) => (float[N,K] y) {{ {nodes} }}", weights)
    made = input_gradient_model(forward, "linear")
    back = [node.op_type for node in made.graph.node if node.name.startswith("gradient/Conv")]
    assert back == [expected]
