"""Rules of operators with windows, and of resizing, against central differences in float64, and in
onnxruntime in float32."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from gradient_cases import IMAGE, Case, by_differences, check_gradient, in_onnxruntime, ints, run
from onnx.reference import ReferenceEvaluator

from rnascl_keras.export.onnx_gradient import input_gradient_model


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
    # to more channels than an image's, whose gradient is a Conv, too
    *(
        convolution(attributes, (3, 5, *size), (5, 5, 6))
        for attributes, size in (
            ("group=1", (1, 1)),
            ("group=1", (3, 2)),
            ("pads=[1, 1, 1, 1]", (3, 3)),
            ("pads=[0, 2, 1, 0]", (3, 3)),
            ("pads=[3, 4, 4, 3]", (2, 3)),
            ("dilations=[2, 1], pads=[2, 1, 2, 1]", (3, 3)),
            ('auto_pad="SAME_UPPER"', (3, 2)),
            ('auto_pad="SAME_LOWER"', (3, 2)),
        )
    ),
    convolution("pads=[1, 0]", (2, 6, 3), (6, 5)),
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
    transposed("strides=[3, 3], output_padding=[2, 1], pads=[1, 0, 0, 1]", (4, 3, 2, 3)),
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
    # windows that do not overlap, the last of them reaching beyond the input
    "kernel_shape=[2, 2], strides=[2, 2], pads=[0, 0, 1, 0]",
    "kernel_shape=[2, 2], strides=[2, 2], pads=[1, 1, 0, 1]",
    'kernel_shape=[2, 2], strides=[2, 2], auto_pad="SAME_UPPER"',
]


POOLS = [
    *(pool(operator, window) for operator in ("MaxPool", "AveragePool") for window in WINDOWS),
    *(pool("AveragePool", f"count_include_pad=1, {window}") for window in WINDOWS[2:6]),
    pool("MaxPool", "kernel_shape=[2, 2], strides=[2, 2]", opset=11),
    pool("MaxPool", "kernel_shape=[2, 2], strides=[2, 2]", opset=22),
    pool("AveragePool", "kernel_shape=[2, 2], strides=[2, 2]", opset=22),
    pool("MaxPool", "kernel_shape=[3, 3], strides=[2, 2], ceil_mode=1"),
    pool("MaxPool", "kernel_shape=[2, 2], strides=[2, 2], ceil_mode=1", (2, 7, 7)),
    pool("MaxPool", "kernel_shape=[2], strides=[2], ceil_mode=1", (2, 7)),
    pool("AveragePool", "kernel_shape=[2, 2], strides=[2, 2], ceil_mode=1"),
    pool("AveragePool", "kernel_shape=[3], strides=[2], pads=[1, 1]", (2, 7)),
    pool("MaxPool", "kernel_shape=[3], strides=[2], pads=[1, 1]", (2, 7)),
    pool("AveragePool", "kernel_shape=[2, 2, 2]", (2, 3, 3, 4)),
    Case("global-average", "h = GlobalAveragePool(x)", IMAGE),
    Case("global-max", "h = GlobalMaxPool(x)", IMAGE),
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


@pytest.mark.parametrize("case", CONVOLUTIONS + POOLS + RESIZES, ids=lambda case: case.name)
def test_the_gradient_is_the_limit_of_differences(case):
    check_gradient(case)


@pytest.mark.parametrize(
    ("attributes", "more", "pads", "size"),
    [
        ("dilations=[2, 2]", [1, 1], [0, 0, 0, 0], (3, 3)),
        ("dilations=[3, 2]", [2, 0], [1, 1, 2, 0], (2, 3)),
        ("strides=[2, 1], dilations=[4, 3]", [3, 2], [0, 0, 0, 0], (2, 2)),
        ("strides=[2, 2], dilations=[4, 4]", [3, 1], [0, 1, 1, 2], (2, 2)),
    ],
)
def test_as_much_output_padding_as_a_stride_or_more(attributes, more, pads, size):
    """Dilations allow it, but neither onnx nor onnxruntime gets it right: it is the plain
    operator's output with zeros behind, less what `pads` cut off."""
    body = f"h = ConvTranspose<{attributes}, output_padding={more}, pads={pads}>(x, w)"
    case = Case("extra", body, (4, 3, 4), {"w": (4, 3, *size)})
    plain = Case("plain", f"h = ConvTranspose<{attributes}>(x, w)", case.shape, case.constants)
    plain = ReferenceEvaluator(plain.model(np.float64))

    def logits(x):
        h = np.pad(plain.run(["h"], {"x": x})[0], [(0, 0), (0, 0), (0, more[0]), (0, more[1])])
        rows, columns = (slice(pads[k], h.shape[2 + k] - pads[2 + k]) for k in (0, 1))
        return h[:, :, rows, columns].reshape(len(x), -1)

    images = case.images(2)
    slopes = np.random.default_rng(3).uniform(-1, 1, logits(images).shape)
    made = input_gradient_model(case.model(np.float64), "linear")
    # of a linear graph it takes no images, but for the batch's size
    backward = onnx.utils.Extractor(made).extract_model(["slopes"], ["gradient"])
    found = run(backward, slopes=slopes)["gradient"]
    for image, slope, gradient in zip(images, slopes, found, strict=True):
        expected = by_differences(lambda x, s=slope: logits(x) @ s, image, 0.5)
        np.testing.assert_allclose(gradient, expected, atol=1e-9)
