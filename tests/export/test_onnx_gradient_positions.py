"""Rules of operators that pick values by position, sample or sum them, or work along channels,
against central differences in float64, and in onnxruntime in float32."""

from __future__ import annotations

import numpy as np
import pytest
from gradient_cases import IMAGE, Case, by_differences, check_gradient, in_onnxruntime, ints, run

from rnascl_keras.export.onnx_gradient import input_gradient_model

INDEXING = [
    Case("top-k", "h, i = TopK<axis=1>(x, k)", (7, 2), {"k": ints([3])}),
    Case("top-k-last", "h, i = TopK(x, k)", (3, 7), {"k": ints([2])}),
    Case("least-k", "h, i = TopK<axis=-1, largest=0>(x, k)", (2, 7), {"k": ints([4])}),
    Case("top-k-11", "h, i = TopK<axis=1>(x, k)", (5, 2), {"k": ints([2])}, opset=11),
    Case(
        "top-k-places",
        "v, i = TopK<axis=2>(x, k)\n e = Exp(x)\n g = GatherElements<axis=2>(e, i)\n h = Mul(g, v)",
        (2, 5),
        {"k": ints([2])},
    ),
    *(
        Case(
            f"gather-elements-{axis}-{opset}",
            "b = Shape(x)\n n = Slice(b, zero, one, zero)\n o = Concat<axis=0>(n, t)\n"
            f" i = Expand(p, o)\n h = GatherElements<axis={axis}>(x, i)",
            (3, 3),
            {
                "p": ints([[[0, 2, -1], [-1, 2, 1], [2, 2, 0]]]),
                "t": ints([3, 3]),
                "zero": ints([0]),
                "one": ints([1]),
            },
            opset=opset,
        )
        for axis, opset in ((1, 18), (-1, 18), (2, 13))
    ),
    Case(
        "gather-nd",
        "t = Transpose(x)\n g = GatherND(t, i)\n h = Transpose<perm=[2, 0, 1]>(g)",
        (3, 4),
        {"i": ints([[[0, 1], [2, 1]], [[3, 0], [0, 1]]])},
    ),
    *(
        Case(
            f"scatter-elements-{reduction}-{axis}",
            "e = Exp(x)\n b = Shape(x)\n n = Slice(b, zero, one, zero)\n o = Concat<axis=0>(n, t)"
            "\n i = Expand(p, o)\n u = Slice(e, one, three, two)\n"
            f' h = ScatterElements<axis={axis}, reduction="{reduction}">(x, i, u)',
            (3, 3),
            {
                "p": ints([[[0, 2], [2, 1], [1, 0]]]),
                "t": ints([3, 2]),
                "zero": ints([0]),
                "one": ints([1]),
                "two": ints([2]),
                "three": ints([3]),
            },
            # onnx's own evaluator compares -1 with the axes from 0 on
            evaluator=in_onnxruntime if axis < 0 else run,
        )
        for reduction in ("none", "add")
        for axis in (2, -1)
    ),
    *(
        Case(
            f"scatter-nd-{reduction}",
            "t = Transpose<perm=[1, 2, 0]>(x)\n e = Exp(t)\n u = Gather<axis=0>(e, first)\n"
            f' s = ScatterND<reduction="{reduction}">(t, i, u)\n h = Transpose<perm=[2, 0, 1]>(s)',
            (4, 3),
            {"first": ints([0, 1]), "i": ints([[3], [1]])},
        )
        for reduction in ("none", "add")
    ),
]

GRID = {"g": np.random.default_rng(4).uniform(-1.3, 1.3, (1, 3, 4, 2))}


# onnx's evaluator samples in float32


def sampled(mode: str, padding: str, align: int, opset: int, of: str = "x") -> Case:
    """Sample an image at fixed places, or a fixed image at places from x, or x by itself."""
    attributes = f'<mode="{mode}", padding_mode="{padding}", align_corners={align}>'
    batch = "s = Shape(x)\n b = Slice(s, zero, one, zero)\n"
    constants = {"zero": ints([0]), "one": ints([1]), "t": ints([3, 4, 2])}
    if of == "x":
        body = f"{batch} o = Concat<axis=0>(b, t)\n c = CastLike(g, x)\n p = Expand(c, o)\n"
        body += f" h = GridSample{attributes}(x, p)"
        name = f"sample-{mode}-{padding}-{align}-{opset}"
        # linear; up to 19 onnxruntime samples in float32 only
        step = 0.25 if opset < 20 else 1e-6
        return Case(name, body, IMAGE, constants | GRID, opset, evaluator=in_onnxruntime, step=step)
    body = "p = Transpose<perm=[0, 2, 3, 1]>(x)\n c = CastLike(wide, x)\n q = Mul(p, c)\n"
    body += f"h = GridSample{attributes}(x, q)"
    name = f"sample-itself-{mode}-{padding}-{align}"
    return Case(name, body, IMAGE, {"wide": np.float64(0.9)}, opset, evaluator=in_onnxruntime)


SAMPLING = [
    *(
        sampled("bilinear", padding, align, 16)
        for padding in ("zeros", "border")
        for align in (0, 1)
    ),
    *(sampled("linear", padding, align, 20) for padding in ("zeros", "border") for align in (0, 1)),
    *(
        sampled("nearest", padding, 0, opset)
        for padding in ("zeros", "border")
        for opset in (16, 20)
    ),
    *(
        sampled("linear", padding, align, 20, "itself")
        for padding in ("zeros", "border")
        for align in (0, 1)
    ),
]

EINSUMS = [
    *(
        Case(f"einsum-{equation}", f'h = Einsum<equation="{equation}">(x, w)', shape, {"w": other})
        for equation, shape, other in (
            ("bij,jk->bik", (3, 4), (4, 2)),
            ("bij,kj", (3, 4), (2, 4)),
            ("bij,ij->b", (3, 4), (3, 4)),
            ("bij,k->bk", (3, 4), (2,)),
            ("b...j, jk -> b...k", (2, 3, 4), (4, 2)),
        )
    ),
    *(
        Case(f"einsum-{equation}", f'h = Einsum<equation="{equation}">(x)', (3, 4))
        for equation in ("bij->bji", "bij->bj", "...ij->...ji", "b i j -> b j i")
    ),
    Case("einsum-both", 'e = Exp(x)\n h = Einsum<equation="bij,bkj->bik">(x, e)', (3, 4)),
    Case(
        "einsum-three",
        'e = Exp(x)\n h = Einsum<equation="bij,bkj,k->bi">(x, e, w)',
        (3, 4),
        {"w": (3,)},
    ),
]

ALONG_AXES = [
    Case("tile", "h = Tile(x, n)", (2, 3), {"n": ints([1, 3, 2])}),
    Case("tile-open", "n = Tile(x, m)\n h = Tile(n, m)", (2, 3), {"m": ints([1, 1, 2])}),
    *(
        Case(
            f"cumsum-{exclusive}{reverse}",
            f"h = CumSum<exclusive={exclusive}, reverse={reverse}>(x, axis)",
            (3, 4),
            {"axis": ints(-1)},
        )
        for exclusive in (0, 1)
        for reverse in (0, 1)
    ),
    Case("triangle", "h = Trilu(x)", (3, 4)),
    Case("triangle-lower", "h = Trilu<upper=0>(x, k)", (3, 4), {"k": ints(-1)}),
    Case("remainder", "h = Mod<fmod=1>(x, c)", (3, 4), {"c": (4,)}, low=0.2),
    Case("product", "h = ReduceProd(x, axes)", IMAGE, {"axes": ints([2])}),
    Case("product-11", "h = ReduceProd<axes=[1], keepdims=0>(x)", (3, 4), opset=11),
    *(
        # onnx's evaluator sums the values, not their sizes
        Case(
            f"norm-{p}", f"h = LpNormalization<axis=1, p={p}>(x)", (3, 4), evaluator=in_onnxruntime
        )
        for p in (1, 2)
    ),
    *(
        Case(f"pool-norm-{p}", f"h = LpPool<kernel_shape=[2, 3], strides=[1, 2], p={p}>(x)", IMAGE)
        for p in (2, 3)
    ),
    Case(
        "reverse",
        "r = Transpose<perm=[1, 2, 0]>(x)\n"
        "s = ReverseSequence<time_axis=0, batch_axis=1>(r, n)\n"
        "h = Transpose<perm=[2, 0, 1]>(s)",
        (4, 3),
        {"n": ints([4, 2, 1])},
    ),
]


@pytest.mark.parametrize("case", INDEXING + SAMPLING + EINSUMS + ALONG_AXES, ids=lambda c: c.name)
def test_the_gradient_is_the_limit_of_differences(case):
    check_gradient(case)


def test_a_product_with_zeros():
    """By a zero, the others' product; by the others 0. Where two are zero, 0 by all."""
    model = Case("product", "h = ReduceProd(x, axes)", (3,), {"axes": ints([1])}).model(np.float32)
    images = np.float32([[2, 0, 3], [0, 0, 5], [1, 2, 3]])
    made = input_gradient_model(model, "linear")
    result = in_onnxruntime(made, images=images, slopes=np.ones((3, 1), np.float32))
    np.testing.assert_array_equal(result["gradient"], [[0, 6, 0], [0, 0, 0], [6, 3, 2]])


def normalised(x: np.ndarray, size: int) -> np.ndarray:
    """LRN as ONNX's document has it: (batch, channels, ..)."""
    sums = np.zeros_like(x)
    for c in range(x.shape[1]):
        first, last = max(0, c - (size - 1) // 2), min(x.shape[1] - 1, c + -(-(size - 1) // 2))
        sums[:, c] = (x[:, first : last + 1] ** 2).sum(axis=1)
    return x / (0.5 + 0.7 / size * sums) ** 0.6


def norms(x: np.ndarray, power: int) -> np.ndarray:
    return (np.abs(x) ** power).sum(axis=(2, 3)) ** (1 / power)


BY_NUMPY = [
    *(
        (f"LRN<size={size}, alpha=0.7, beta=0.6, bias=0.5>", opset, normalised, size)
        for size, opset in ((1, 13), (3, 11), (5, 18), (7, 18))
    ),
    *((f"GlobalLpPool<p={p}>", 18, norms, p) for p in (1, 2, 3)),
]


@pytest.mark.parametrize(("operator", "opset", "function", "argument"), BY_NUMPY)
def test_what_onnx_does_not_evaluate_is_written_in_numpy(operator, opset, function, argument):
    case = Case("numpy", f"h = {operator}(x)", (5, 2, 3), opset=opset, low=-2, high=2)
    images = case.images(2)
    logits = function(images, argument).reshape(2, -1)
    slopes = np.random.default_rng(3).uniform(-1, 1, logits.shape)
    expected = [
        by_differences(lambda x, s=s: function(x, argument).reshape(len(x), -1) @ s, image, 1e-6)
        for image, s in zip(images, slopes, strict=True)
    ]
    made = input_gradient_model(case.model(np.float32), "linear")
    feeds = {"images": images.astype(np.float32), "slopes": slopes.astype(np.float32)}
    result = in_onnxruntime(made, **feeds)
    np.testing.assert_allclose(result["logits"], logits, atol=1e-5)
    np.testing.assert_allclose(result["gradient"], expected, atol=1e-5)
