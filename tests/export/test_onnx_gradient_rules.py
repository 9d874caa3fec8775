"""Every operator's rule against central differences in float64, and in onnxruntime in float32."""

from __future__ import annotations

import numpy as np
import pytest
from gradient_cases import Case, by_differences, in_onnxruntime, run
from onnx import checker

from rnascl_keras.export.onnx_gradient import input_gradient_model

IMAGE = (2, 5, 6)
ints = np.int64


def unary(operator: str, attributes: str = "", opset: int = 18, **domain) -> Case:
    name = f"{operator}{attributes}-{opset}"
    return Case(name, f"h = {operator} {attributes} (x)", (3, 4), opset=opset, **domain)


POSITIVE = {"low": 0.2, "high": 3.0}
WIDE = {"low": -4.0, "high": 4.0}

SOFTMAX_11 = "a = Softmax<axis=1>(x)\n h = Exp(a)"

ACTIVATIONS = [
    *(unary(x, **WIDE) for x in ("Identity", "Neg", "Abs", "Exp", "Sin", "Cos", "Tanh")),
    *(unary(x, **POSITIVE) for x in ("Sqrt", "Log", "Reciprocal")),
    *(unary(x, **WIDE) for x in ("Sigmoid", "Softplus", "Relu", "LeakyRelu", "Elu", "HardSigmoid")),
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


def convolution(attributes: str, kernel: tuple[int, ...], shape=(4, 7, 8), **settings) -> Case:
    name = f"Conv<{attributes}>{list(kernel)}{list(shape)}"
    return Case(name, f"h = Conv<{attributes}>(x, w)", shape, {"w": kernel}, **settings)


# onnx's evaluator knows neither groups nor output shapes of ConvTranspose, and onnxruntime only its
# float32; of a linear graph differences are exact whatever their step.
IN_FLOAT32 = {"evaluator": in_onnxruntime, "step": 0.5}


def transposed(attributes: str, kernel: tuple[int, ...], shape=(4, 3, 4)) -> Case:
    name = f"ConvTranspose<{attributes}>{list(kernel)}"
    return Case(name, f"h = ConvTranspose<{attributes}>(x, w)", shape, {"w": kernel}, **IN_FLOAT32)


CONVOLUTIONS = [
    convolution("group=1", (3, 4, 1, 1)),
    convolution("group=1", (3, 4, 3, 2), opset=11),
    convolution("strides=[2, 2]", (3, 4, 3, 2), opset=22),
    convolution("pads=[1, 1, 1, 1]", (3, 4, 3, 3)),
    convolution("pads=[0, 2, 1, 0]", (3, 4, 3, 3)),
    convolution("pads=[3, 4, 4, 3]", (3, 4, 2, 3)),
    convolution("strides=[2, 2], pads=[1, 1, 1, 1]", (3, 4, 3, 3)),
    convolution("strides=[2, 3], pads=[0, 1, 2, 0]", (3, 4, 3, 2)),
    convolution("strides=[3, 3]", (3, 4, 1, 1)),
    convolution("strides=[4, 4], pads=[3, 2, 3, 2]", (3, 4, 2, 2)),
    convolution("dilations=[2, 1], pads=[2, 1, 2, 1]", (3, 4, 3, 3)),
    convolution("dilations=[2, 3], strides=[2, 1], pads=[1, 0, 2, 3]", (2, 4, 2, 3)),
    convolution("group=2, pads=[1, 1, 1, 1]", (6, 2, 3, 3)),
    convolution("group=4, pads=[1, 1, 1, 1]", (4, 1, 3, 3)),
    convolution("group=4, strides=[2, 2]", (8, 1, 3, 2), **IN_FLOAT32),
    # each channel by itself: by zeros put between
    *(
        convolution(f"group=4, {strides}", (4, 1, *size))
        for strides, size in (
            ("strides=[2, 2], pads=[1, 1, 1, 1]", (3, 3)),
            ("strides=[2, 2], pads=[0, 0, 1, 1]", (3, 3)),
            ("strides=[2, 3], pads=[0, 3, 2, 1]", (2, 4)),
            ("strides=[1, 4], pads=[0, 2, 0, 0]", (1, 2)),
            ("strides=[2, 1]", (1, 1)),
            ("strides=[2, 2], dilations=[2, 3], pads=[2, 3, 1, 4]", (3, 2)),
            ('strides=[2, 2], auto_pad="SAME_LOWER"', (3, 4)),
            ("strides=[10000, 2]", (3, 4)),
        )
    ),
    convolution("group=2, strides=[2], pads=[1, 1]", (2, 1, 3), (2, 7)),
    convolution("group=2, strides=[2, 1, 2]", (2, 1, 2, 2, 2), (2, 5, 3, 4)),
    *(
        convolution(f'auto_pad="{auto}", strides=[{stride}, {stride}]', (3, 4, size, size))
        for auto in ("SAME_UPPER", "SAME_LOWER", "VALID")
        for stride, size in ((1, 3), (2, 3), (2, 2), (3, 1))
    ),
    convolution('auto_pad="SAME_UPPER", dilations=[2, 2]', (3, 4, 3, 3), runs=False),
    convolution("strides=[2], pads=[1, 0]", (3, 4, 3), (4, 9)),
    convolution("strides=[2, 1, 1], pads=[1, 0, 1, 1, 1, 0]", (2, 2, 3, 2, 2), (2, 4, 4, 3)),
    Case("conv-bias", "h = Conv(x, w, b)", (2, 4, 4), {"w": (3, 2, 3, 3), "b": (3,)}),
    transposed("group=1", (4, 3, 2, 2)),
    transposed("strides=[2, 2], pads=[1, 1, 1, 1], output_padding=[1, 0]", (4, 3, 3, 3)),
    transposed("strides=[2, 3], pads=[0, 1, 1, 0], dilations=[2, 1]", (4, 3, 2, 3)),
    transposed("group=2, strides=[2, 2]", (4, 3, 2, 2)),
    transposed("strides=[2, 2], output_shape=[7, 8]", (4, 3, 3, 3)),
    transposed('auto_pad="SAME_UPPER", strides=[2, 2]', (4, 3, 3, 3)),
    transposed('auto_pad="SAME_LOWER", strides=[2, 2]', (4, 3, 3, 3)),
]


def pool(operator: str, attributes: str, shape=IMAGE, opset=19) -> Case:
    name = f"{operator}<{attributes}>{list(shape)}"
    # onnx's evaluator errs in the indices of MaxPool, and in SAME_LOWER
    evaluator = in_onnxruntime if operator == "MaxPool" else run
    body = f"h = {operator}<{attributes}>(x)"
    return Case(name, body, shape, opset=opset, evaluator=evaluator)


WINDOWS = [
    "kernel_shape=[2, 2], strides=[2, 2]",
    "kernel_shape=[3, 2]",
    "kernel_shape=[3, 3], strides=[2, 2], pads=[1, 1, 1, 1]",
    "kernel_shape=[3, 3], strides=[1, 2], pads=[2, 0, 0, 1]",
    "kernel_shape=[2, 2], strides=[3, 3]",
    "kernel_shape=[2, 3], dilations=[2, 2], pads=[1, 1, 0, 1]",
    'kernel_shape=[3, 3], strides=[2, 2], auto_pad="SAME_UPPER"',
    'kernel_shape=[2, 2], strides=[1, 2], auto_pad="SAME_LOWER"',
    'kernel_shape=[2, 2], strides=[2, 2], auto_pad="VALID"',
]

POOLS = [
    *(pool(operator, window) for operator in ("MaxPool", "AveragePool") for window in WINDOWS),
    *(pool("AveragePool", f"count_include_pad=1, {window}") for window in WINDOWS[2:6]),
    pool("MaxPool", "kernel_shape=[2, 2], strides=[2, 2]", opset=11),
    pool("MaxPool", "kernel_shape=[2, 2], strides=[2, 2]", opset=22),
    pool("AveragePool", "kernel_shape=[2, 2], strides=[2, 2]", opset=22),
    pool("MaxPool", "kernel_shape=[3, 3], strides=[2, 2], ceil_mode=1"),
    pool("AveragePool", "kernel_shape=[2, 2], strides=[2, 2], ceil_mode=1"),
    pool("AveragePool", "kernel_shape=[3], strides=[2], pads=[1, 1]", (2, 7)),
    pool("MaxPool", "kernel_shape=[3], strides=[2], pads=[1, 1]", (2, 7)),
    pool("AveragePool", "kernel_shape=[2, 2, 2]", (2, 3, 3, 4)),
    Case("global-average", "h = GlobalAveragePool(x)", IMAGE),
    Case("global-max", "h = GlobalMaxPool(x)", IMAGE),
]

REDUCTIONS = [
    *(
        Case(
            f"{operator}{axes}{keep}",
            f"h = {operator}<keepdims={keep}>(x, axes)",
            IMAGE,
            {"axes": ints(axes)},
        )
        for operator in ("ReduceSum", "ReduceMean", "ReduceMax", "ReduceMin")
        for axes in ([1], [2, 3], [-1, 1])
        for keep in (0, 1)
    ),
    *(
        Case(f"{x}-11", f"h = {x}<axes=[2, -1], keepdims=0>(x)", IMAGE, opset=11)
        for x in ("ReduceSum", "ReduceMean", "ReduceMax")
    ),
    *(
        Case(f"{x}-none", f"h = {x}<noop_with_empty_axes=1>(x)", (3, 4))
        for x in ("ReduceSum", "ReduceMean", "ReduceMax")
    ),
    *(
        Case(x, f"h = {x}(x, axes)", IMAGE, {"axes": ints([2, 3])})
        for x in ("ReduceL1", "ReduceL2", "ReduceSumSquare", "ReduceLogSumExp")
    ),
]

SHAPES = [
    Case("reshape", "h = Reshape(x, to)", IMAGE, {"to": ints([0, 3, -1, 2])}),
    Case("reshape-open", "s = Shape(x)\n h = Reshape(x, s)", IMAGE),
    Case("flatten", "h = Flatten<axis=2>(x)\n", (1, 5, 6)),
    Case("squeeze", "h = Squeeze(x, axes)", (1, 4, 1), {"axes": ints([1, -1])}),
    Case("squeeze-11", "h = Squeeze<axes=[1, 3]>(x)", (1, 4, 1), opset=11),
    Case("unsqueeze", "h = Unsqueeze(x, axes)", (3, 4), {"axes": ints([1, -1])}),
    Case("transpose", "h = Transpose<perm=[0, 3, 1, 2]>(x)", IMAGE),
    Case("transpose-all", "a = Transpose(x)\n b = Exp(a)\n h = Transpose(b)", IMAGE),
    Case("concat", "a = Exp(x)\n h = Concat<axis=-1>(a, x)", (3, 4)),
    Case("concat-axis-1", "a = Exp(x)\n b = Abs(x)\n h = Concat<axis=1>(x, a, b)", IMAGE),
    Case("split", "a, b = Split<axis=1>(x, s)\n h = Exp(b)", IMAGE, {"s": ints([1, 1])}),
    Case("split-equal", "a, b = Split<axis=-1, num_outputs=2>(x)\n h = Mul(a, b)", (3, 4)),
    Case(
        "split-11", "a, b, c = Split<axis=2, split=[1, 2, 1]>(x)\n h = Mul(a, c)", (3, 4), opset=11
    ),
    *(
        Case(
            f"slice{starts}{ends}{axes}{steps}",
            "h = Slice(x, starts, ends, axes, steps)",
            (5, 6),
            {"starts": ints(starts), "ends": ints(ends), "axes": ints(axes), "steps": ints(steps)},
        )
        for starts, ends, axes, steps in (
            ([1], [4], [1], [1]),
            ([-3, 1], [99, -1], [1, 2], [1, 1]),
            ([-99], [2], [-1], [1]),
            ([0, 1], [5, 6], [1, 2], [2, 3]),
            ([-1, 4], [-99, 0], [1, 2], [-1, -2]),
            ([1, 0], [3, 6], [1, 2], [1, 2]),
        )
    ),
    *(
        Case(
            f"slice-image{starts}{ends}{steps}",
            "h = Slice(x, starts, ends, axes, steps)",
            (2, 5, 6),
            {
                "starts": ints(starts),
                "ends": ints(ends),
                "axes": ints([0, 2, -1]),
                "steps": ints([1, *steps]),
            },
        )
        for starts, ends, steps in (
            ([0, 0, 0], [10**9, 10**9, 10**9], [2, 2]),
            ([0, 1, -5], [10**9, 5, 99], [2, 3]),
            ([0, 3, -99], [10**9, -1, 5], [4, 1]),
            ([0, 0, 5], [10**9, 9, -99], [2, -2]),
            ([0, 0, 1], [10**9, 9, 9], [10**12, 2]),
        )
    ),
    Case("slice-first", "h = Slice(x, s, e)", (5, 6), {"s": ints([0, 1]), "e": ints([99, 3])}),
    Case("gather", "h = Gather<axis=1>(x, i)", (3, 4), {"i": ints(0)}),
    Case("gather-many", "h = Gather<axis=-1>(x, i)", (3, 4), {"i": ints([[2, 0], [-1, 2]])}),
    Case("constant", "i = Constant<value_ints=[2, 0]>()\n h = Gather<axis=1>(x, i)", (3, 4)),
    Case("gather-int32", "h = Gather<axis=1>(x, i)", (3, 4), {"i": np.int32([1, 1, 0])}),
    Case("pad", "h = Pad(x, p)", (3, 4), {"p": ints([0, 1, 0, 0, 2, 3])}),
    Case("pad-crops", "h = Pad(x, p, c)", (3, 4), {"p": ints([0, 1, 2, 0, 0, 1]), "c": ()}, 13),
    Case("pad-axes", "h = Pad(x, p, , a)", (3, 4), {"p": ints([1, 2]), "a": ints([-1])}),
    *(
        Case(
            f"pad-{mode}",
            f'h = Pad<mode="{mode}">(x, p)',
            (3, 4),
            {"p": ints([0, 1, 2, 0, 2, 1])},
            19,
        )
        for mode in ("reflect", "edge", "wrap")
    ),
    Case("depth-to-space", "h = DepthToSpace<blocksize=2>(x)", (8, 2, 3)),
    Case("depth-to-space-crd", 'h = DepthToSpace<blocksize=2, mode="CRD">(x)', (8, 2, 3)),
    Case("space-to-depth", "h = SpaceToDepth<blocksize=2>(x)", (2, 4, 6)),
]

MODES = [
    ("nearest", "asymmetric", "floor"),
    ("nearest", "half_pixel", "round_prefer_floor"),
    ("nearest", "half_pixel", "round_prefer_ceil"),
    ("nearest", "align_corners", "ceil"),
    ("linear", "half_pixel", "floor"),
    ("linear", "pytorch_half_pixel", "floor"),
    ("linear", "align_corners", "floor"),
    ("linear", "asymmetric", "floor"),
    ("cubic", "half_pixel", "floor"),
]
SCALES = {"s": np.float32([1, 1, 2, 1.5])}

RESIZES = [
    *(
        Case(
            f"resize-{mode}-{place}-{way}",
            f'h = Resize<mode="{mode}", coordinate_transformation_mode="{place}",'
            f'nearest_mode="{way}">(x, , s)',
            (2, 4, 4),
            SCALES,
        )
        for mode, place, way in MODES
    ),
    Case(
        "resize-down",
        'h = Resize<mode="linear">(x, , s)',
        (2, 4, 6),
        {"s": np.float32([1, 1, 0.5, 0.5])},
    ),
    Case(
        "resize-11",
        'h = Resize<mode="nearest">(x, r, s)',
        (2, 4, 4),
        SCALES | {"r": np.float32([])},
        11,
    ),
    Case(
        "resize-sizes",
        'h = Resize<mode="linear", axes=[2, 3]>(x, , , to)',
        (2, 4, 4),
        {"to": ints([7, 3])},
    ),
    Case(
        "resize-antialias",
        'h = Resize<mode="linear", antialias=1, axes=[3]>(x, , , to)',
        (2, 4, 6),
        {"to": ints([3])},
    ),
]

CASES = ACTIVATIONS + ARITHMETIC + LINEAR + CONVOLUTIONS + POOLS + REDUCTIONS + SHAPES + RESIZES


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_the_gradient_is_the_limit_of_differences(case):
    dtype = np.float64 if case.step < 0.1 else np.float32
    model, images = case.model(dtype), case.images(2).astype(dtype)
    logits = case.evaluator(model, x=images)["y"]
    slopes = np.random.default_rng(3).uniform(-1, 1, logits.shape).astype(dtype)
    expected = np.stack(
        [
            by_differences(lambda x, s=slope: case.evaluator(model, x=x)["y"] @ s, image, case.step)
            for image, slope in zip(images, slopes, strict=True)
        ]
    )
    scale = max(1.0, np.abs(expected).max())
    assert np.abs(expected).max() > 1e-3
    if dtype is np.float64:
        made = input_gradient_model(model, "linear")
        result = case.evaluator(made, images=images, slopes=slopes)
        np.testing.assert_allclose(result["logits"], logits, atol=1e-7)
        np.testing.assert_allclose(result["loss"], np.sum(slopes * logits, axis=1), atol=1e-6)
        tolerance = 3e-7 if case.step < 1e-4 else 1e-4
        np.testing.assert_allclose(result["gradient"], expected, atol=tolerance * scale)

    single = input_gradient_model(case.model(np.float32), "linear")
    checker.check_model(single, full_check=True)
    if case.runs:
        feeds = {"images": images.astype(np.float32), "slopes": slopes.astype(np.float32)}
        result = in_onnxruntime(single, **feeds)
        np.testing.assert_allclose(result["logits"], logits, atol=1e-4 * scale)
        np.testing.assert_allclose(result["gradient"], expected, atol=1e-4 * scale)


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
