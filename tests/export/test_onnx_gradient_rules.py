"""Rules of operators on single values, with operands, and linear ones, against central differences
in float64, and in onnxruntime in float32; and where there is no gradient, or more than one."""

from __future__ import annotations

import numpy as np
import pytest
from gradient_cases import IMAGE, Case, check_gradient, in_onnxruntime, ints, run

from rnascl_keras.export.onnx_gradient import input_gradient_model


def unary(operator: str, attributes: str = "", opset: int = 18, **domain) -> Case:
    name = f"{operator}{attributes}-{opset}"
    return Case(name, f"h = {operator} {attributes} (x)", (3, 4), opset=opset, **domain)


POSITIVE = {"low": 0.2, "high": 3.0}


WIDE = {"low": -4.0, "high": 4.0}


SOFTMAX_11 = "a = Softmax<axis=1>(x)\n h = Exp(a)"


ACTIVATIONS = [
    *(unary(x, **WIDE) for x in ("Identity", "Neg", "Abs", "Exp", "Sin", "Cos")),
    *(unary(x, **POSITIVE) for x in ("Sqrt", "Log", "Reciprocal")),
    *(unary(x) for x in ("Tan", "Atan", "Sinh", "Cosh", "Asinh")),
    *(unary(x, low=-0.9, high=0.9) for x in ("Asin", "Acos", "Atanh")),
    unary("Acosh", low=1.2, high=3.0),
    # at the end they would be left out
    *(Case(x, f"a = {x}(x)\n h = Exp(a)", (3, 4), **WIDE) for x in ("Sigmoid", "Tanh")),
    *(unary(x, **WIDE) for x in ("Softplus", "Relu", "LeakyRelu", "Elu", "HardSigmoid")),
    *(unary(x, **WIDE) for x in ("HardSwish", "Mish", "Selu", "Softsign", "Softmax")),
    *(unary(x, opset=11, **WIDE) for x in ("Relu", "LeakyRelu", "Softplus", "HardSigmoid")),
    unary("Gelu", '<approximate="tanh">', 20, **WIDE),
    # onnx's evaluator computes erf in float32
    unary("Gelu", '<approximate="none">', 20, step=1e-3, **WIDE),
    *(unary(x, opset=22, **WIDE) for x in ("Mish", "Elu", "HardSwish", "Softmax")),
    *(unary("Erf", opset=opset, step=1e-3, **WIDE) for opset in (11, 18)),
    unary("LeakyRelu", "<alpha=0.3>", **WIDE),
    unary("Elu", "<alpha=0.7>", **WIDE),
    unary("HardSigmoid", "<alpha=0.3, beta=0.4>", **WIDE),
    unary("LogSoftmax", **WIDE),
    unary("Softmax", "<axis=1>", **WIDE),
    unary("LogSoftmax", "<axis=-2>", **WIDE),
    # onnx's evaluator does not flatten in opset 11
    Case("Softmax-11", SOFTMAX_11, (3, 4), opset=11, evaluator=in_onnxruntime),
    unary("Dropout", "<ratio=0.4>", 11),
    unary("ThresholdedRelu", "<alpha=0.5>", **WIDE),
    Case("dropout", "h = Dropout(x, ratio)", (3, 4), {"ratio": np.float32(0.4)}),
    Case("clip", "h = Clip(x, low, high)", (3, 4), {"low": (), "high": ()}, **WIDE),
    Case("clip-below", "h = Clip(x, low)", (3, 4), {"low": ()}, opset=11, **WIDE),
    Case("clip-above", "h = Clip(x, , high)", (3, 4), {"high": ()}, **WIDE),
    Case("cast", "a = Cast<to=11>(x)\n h = CastLike(a, x)", (3, 4)),
]


ARITHMETIC = [
    *(
        Case(f"{x}{list(c)}", f"h = {x}(x, c)", (3, 4), {"c": c}, **POSITIVE)
        for x in ("Add", "Sub", "Mul", "Div", "Pow", "Max", "Min")
        for c in ((3, 4), (4,), (3, 1), ())
    ),
    *(
        Case(f"{x}-reversed", f"h = {x}(c, x)", (3, 4), {"c": (4,)}, **POSITIVE)
        for x in ("Sub", "Div", "Pow")
    ),
    # x, (batch, 1, 4), is itself broadcast: (5, 3, 4), (2, batch, 3, 4)
    *(
        Case(f"{x}-grows", f"a = {x}(c, x)\n h = Transpose<perm=[1, 0, 2, 3]>(a)", (1, 4), {"c": c})
        for x in ("Add", "Mul", "Sub", "Max")
        for c in ((2, 1, 3, 4), (2, 1, 3, 1))
    ),
    *(
        Case(f"{x}-both", f"a = Exp(x)\n b = {y}\n h = {x}(a, b)", (3, 4), {"axes": ints([1])})
        for x in ("Add", "Sub", "Mul", "Div", "Pow", "Max")
        for y in ("ReduceSum(a, axes)", "Sigmoid(a)")
    ),
    Case("square", "h = Mul(x, x)", (3, 4)),
    Case("integer-power", "h = Pow(x, two)", (3, 4), {"two": ints(2)}),
    Case("sum", "a = Exp(x)\n h = Sum(x, a, c)", (3, 4), {"c": (4,)}),
    Case("mean", "a = Exp(x)\n h = Mean(x, a, c)", (3, 4), {"c": (4,)}),
    Case("where", "a = Exp(x)\n b = Greater(x, c)\n h = Where(b, a, x)", (3, 4), {"c": (4,)}),
    Case("where-broadcast", "h = Where(b, x, c)", (3, 1), {"b": np.eye(3, 4) > 0, "c": ()}),
    Case("expand", "h = Expand(x, to)", (3, 1), {"to": ints([1, 3, 4])}),
    Case("prelu", "h = PRelu(x, slope)", IMAGE, {"slope": (2, 1, 1)}),
    Case("prelu-slope", "a = Exp(x)\n h = PRelu(x, a)", IMAGE),
    # the second operand's sizes are known only when the graph runs
    Case("open", "s = Shape(x)\n o = Expand(c, s)\n h = Mul(o, x)", (3, 4), {"c": (1, 4)}),
]


LINEAR = [
    *(
        Case(
            f"gemm{a}{b}",
            f"f = Flatten(x)\n t = {'Transpose(f)' if a else 'Identity(f)'}\n"
            f"g = Gemm<transA={a}, transB={b}, alpha=0.5, beta=2.0>(t, w, c)\n h = Flatten(g)",
            (2, 3),
            {"w": (5, 6) if b else (6, 5), "c": (5,)},
        )
        for a in (0, 1)
        for b in (0, 1)
    ),
    Case("gemm-no-bias", "h = Gemm(x, w)", (4,), {"w": (4, 3)}, opset=11),
    Case("gemm-bias", "e = Exp(x)\n h = Gemm(x, w, e)", (4,), {"w": (4, 4)}),
    # both operands depend on x: (4, batch) (batch, 4) would mix images, so one image's columns
    Case("matmul", "h = MatMul(x, w)", (3, 4), {"w": (4, 5)}),
    Case("matmul-right", "h = MatMul(w, x)", (3, 4), {"w": (5, 3)}),
    Case("matmul-batched", "h = MatMul(x, w)", (2, 3, 4), {"w": (2, 4, 5)}),
    Case("matmul-one", "h = MatMul(x, w)", (1, 3, 4), {"w": (2, 4, 5)}),
    Case(
        "matmul-more",
        "a = MatMul(w, x)\n h = Transpose<perm=[1, 0, 2, 3]>(a)",
        (3, 4),
        {"w": (2, 1, 5, 3)},
    ),
    Case("matmul-vector", "h = MatMul(x, w)", (3, 4), {"w": (4,)}),
    Case("vector-matmul", "h = MatMul(w, x)", (3, 4), {"w": (3,)}),
    Case("attention", "t = Transpose<perm=[0, 2, 1]>(x)\n h = MatMul(x, t)", (3, 4)),
    *(
        Case(
            f"batch-norm-{opset}",
            "h = BatchNormalization<epsilon=0.01>(x, s, b, m, v)",
            shape,
            dict.fromkeys("sbmv", (2,)),
            opset=opset,
            evaluator=evaluator,
            **POSITIVE,
        )
        # onnx's evaluator trains in opset 11
        for opset, shape, evaluator in (
            (11, IMAGE, in_onnxruntime),
            (14, (2, 7), run),
            (18, (2,), run),
        )
    ),
    Case(
        "instance-norm",
        "h = InstanceNormalization<epsilon=0.01>(x, s, b)",
        IMAGE,
        {"s": (2,), "b": (2,)},
    ),
    Case(
        "layer-norm",
        "h = LayerNormalization<epsilon=0.01>(x, s, b)",
        (3, 4),
        {"s": (4,), "b": (4,)},
    ),
    Case("layer-norm-axis", "h = LayerNormalization<axis=1>(x, s)", (3, 4), {"s": (3, 4)}),
    Case(
        "group-norm",
        "h = GroupNormalization<num_groups=2>(x, s, b)",
        (4, 3, 3),
        {"s": (4,), "b": (4,)},
        opset=21,
        # it computes in float32
        step=1e-3,
    ),
]


@pytest.mark.parametrize("case", ACTIVATIONS + ARITHMETIC + LINEAR, ids=lambda case: case.name)
def test_the_gradient_is_the_limit_of_differences(case):
    check_gradient(case)


TIES = {
    "MaxPool": ("h = MaxPool<kernel_shape=[1, 3]>(x)", [1, 0, 0]),
    "GlobalMaxPool": ("h = GlobalMaxPool(x)", [0.5, 0.5, 0]),
    "ReduceMax": ("h = ReduceMax<keepdims=0>(x, axes)", [0.5, 0.5, 0]),
    "Max": ("a, b, c = Split<axis=3, num_outputs=3>(x)\n h = Max(a, b, c)", [0.5, 0.5, 0]),
    "Relu": ("h = Relu(x)", [1, 1, 0]),
    "Clip": ("h = Clip(x, zero, two)", [1, 1, 1]),
}


@pytest.mark.parametrize(("body", "expected"), TIES.values(), ids=TIES)
def test_values_that_tie_and_kinks(body, expected):
    constants = {"axes": ints([3]), "zero": np.float32(0), "two": np.float32(2)}
    used = {name: value for name, value in constants.items() if name in body}
    model = input_gradient_model(Case("tie", body, (1, 1, 3), used).model(np.float32), "linear")
    images = np.float32([2, 2, 0]).reshape(1, 1, 1, 3)
    size = 3 if "Max" not in body else 1
    result = in_onnxruntime(model, images=images, slopes=np.ones((1, size), np.float32))
    np.testing.assert_array_equal(result["gradient"].ravel(), expected)


def test_a_rectifier_passes_the_gradient_of_the_least_normal_number():
    model = input_gradient_model(Case("relu", "h = Relu(x)", (3,)).model(np.float32), "linear")
    images = np.float32([[1.2e-38, 0, 3e38]])
    result = in_onnxruntime(model, images=images, slopes=np.ones((1, 3), np.float32))
    np.testing.assert_array_equal(result["gradient"], [[1, 0, 1]])


def test_an_input_that_is_used_twice_gets_both_gradients():
    body = (
        "a = Relu(x)\n b = Add(a, x)\n c = Mul(b, b)\n d = Concat<axis=1>(c, a, x)\n h = Add(d, d)"
    )
    model = input_gradient_model(Case("twice", body, (2,)).model(np.float64), "linear")
    x = np.array([[0.5, -2.0]])
    slopes = np.array([[1, 1, 10, 10, 100, 100.0]])
    # 2 (4 x x + 10 x + 100 x) for positive x, 2 (x x + 100 x) for negative x
    result = run(model, images=x, slopes=slopes)
    np.testing.assert_allclose(result["gradient"], [[2 * (4 + 110), 2 * (-4 + 100)]])
