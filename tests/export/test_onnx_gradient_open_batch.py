"""Shapes, pads and bounds that a graph computes from shapes while its batch is left open, against
central differences in float64, and in onnxruntime in float32."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from gradient_cases import IMAGE, Case, check_gradient, in_onnxruntime, ints

from rnascl_keras.export.gradient.known import KnownTensors
from rnascl_keras.export.gradient.preparation import folded, prepare

ONE = {"zero": ints([0]), "one": ints([1]), "two": ints([2])}

HALF = "s = Shape(e) c = Gather<axis=0>(s, one) m = Div(c, two)"
"""Half the channels of `e`, as torch.chunk computes it."""

# torch.nn.functional.pad with numbers from x.shape, as PyTorch's exporter writes it
PADS = """
  s{k} = Shape({x}) h{k} = Gather<axis=0>(s{k}, two) a{k} = Mod(h{k}, two) b{k} = Add(a{k}, one)
  p{k} = Concat<axis=0>(b{k}, one, zero, a{k}, zero, zero, zero, zero)
  q{k} = Reshape(p{k}, rows) r{k} = Slice(q{k}, last, first, zero, last)
  t{k} = Transpose<perm=[1, 0]>(r{k}) u{k} = Reshape(t{k}, last) v{k} = Cast<to=7>(u{k})
  {y} = Pad({x}, v{k})
"""
PAD_CONSTANTS = ONE | {"rows": ints([-1, 2]), "last": ints([-1]), "first": ints([-(2**63) + 1])}


def padded(times: int) -> str:
    layers = []
    for k in range(times):
        x = f"c{k - 1}" if k else "x"
        layers.append(PADS.format(k=k, x=x, y=f"y{k}") + f"c{k} = Conv<strides=[2, 2]>(y{k}, w)")
    return " ".join(layers) + f" h = Sin(c{times - 1})"


SIZES = """
  a = AveragePool<kernel_shape=[2, 2], strides=[2, 2]>(x)
  s = Shape(x) n = Slice(s, zero, two, zero) e = Slice(s, two, four, zero)
"""
WHOLE = SIZES + " t = Shape(a) n0 = Slice(t, zero, two, zero) f = Concat<axis=0>(n0, e)"
EXPANDED = """
  s = Shape(x) b = Gather<axis=0>(s, nil) u = Unsqueeze(b, zero)
  t = Concat<axis=0>(u, minus, three) r = Shape(t) o = ConstantOfShape<value=int64[1] {1}>(r)
  m = Mul(o, minus) q = Equal(t, m) i = Where(q, o, t) v = Expand(token, i)
"""
CASES = [
    Case(
        "chunk",
        f"e = Exp(x) {HALF} n = Mul(m, two)\n a = Slice(e, zero, m, one)"
        "\n b = Slice(e, m, n, one)\n h = Mul(a, b)",
        (4, 3, 3),
        ONE,
    ),
    Case(
        "slice-of-whole-batch",
        "s = Shape(x) n = Slice(s, zero, two, zero) b = Mul(zero, two) o = Concat<axis=0>(b, one)"
        " h = Slice(x, o, n, both)",
        (4, 3),
        ONE | {"both": ints([0, 1])},
    ),
    Case(
        "groups",
        f"e = Exp(x) {HALF} n = Gather<axis=0>(s, zero) h0 = Gather<axis=0>(s, two)"
        " t = Concat<axis=0>(n, two, m, h0, three) g = Reshape(e, t)"
        " p = Transpose<perm=[0, 2, 1, 3, 4]>(g) h = Reshape(p, s)",
        (4, 2, 3),
        ONE | {"three": ints([3])},
    ),
    Case(
        "reshape-of-unknown-first",
        "f = Reshape(x, rows) s = Shape(f) a = Gather<axis=0>(s, zero) b = Div(a, two)"
        " t = Concat<axis=0>(b, two, four) g = Reshape(f, t)"
        " h = AveragePool<kernel_shape=[2], strides=[2]>(g)",
        (2, 4),
        ONE | {"rows": ints([-1, 4]), "four": ints([4])},
    ),
    *(
        Case(f"pads-{k}", padded(k), (1, 9 * k, 5 * k), PAD_CONSTANTS | {"w": (1, 1, 2, 2)})
        for k in (1, 2)
    ),
    *(
        Case(
            name,
            f'{WHOLE} r = Resize<mode="linear"{policy}>(a, , , f) h = Mul(r, x)',
            (2, 4, 6),
            ONE | {"four": ints([4])},
            evaluator=in_onnxruntime,
            step=0.25,
        )
        for name, policy in (
            ("resize-to-another", ""),
            ("resize-and-stretch", ', keep_aspect_ratio_policy="stretch"'),
        )
    ),
    Case(
        "resize-by-scales",
        f"{SIZES} t = Shape(a) d = Slice(t, two, four, zero) e1 = Cast<to=1>(e) d1 = Cast<to=1>(d)"
        " k = Div(e1, d1) l = Concat<axis=0>(ones, k) r = Resize(a, , l) h = Mul(r, x)",
        (2, 4, 6),
        ONE | {"four": ints([4]), "ones": np.float32([1, 1])},
        evaluator=in_onnxruntime,
        step=0.25,
    ),
    Case(
        "class-token",
        f"{EXPANDED} g = Concat<axis=1>(v, x) z = Transpose<perm=[0, 2, 1]>(g)"
        " h = AveragePool<kernel_shape=[2], strides=[2]>(z)",
        (5, 3),
        {
            "nil": ints(0),
            "zero": ints([0]),
            "minus": ints([-1]),
            "three": ints([3]),
            "token": (1, 1, 3),
        },
    ),
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_the_gradient_is_the_limit_of_differences(case):
    check_gradient(case)


def test_however_many_paddings_follow_each_other():
    """Each can be known only after the one before."""
    case = Case("deep", padded(12), (1, 9, 9), PAD_CONSTANTS | {"w": (1, 1, 2, 2)})
    prepared = prepare(case.model(np.float32))
    known = KnownTensors(prepared.graph)
    shapes = [known.shape(node.output[0]) for node in prepared.graph.node if node.op_type == "Conv"]
    assert [shape[0] for shape in shapes] == ["N"] * 12
    assert all(isinstance(size, int) for shape in shapes for size in shape[1:])


def values(body: str, name: str, **constants) -> list[int | None]:
    """Return what is known of the vector `name`; None where nothing is."""
    model = Case("values", f"{body} h = Relu(x)", IMAGE, constants).model(np.float32)
    known = KnownTensors(onnx.shape_inference.infer_shapes(model).graph)
    found = known.partly(name)
    return [
        int(value) if kind == 0 else "N" if kind == known.open_size("N") else None
        for value, kind in zip(found.values, found.kinds, strict=True)
    ]


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ("v = Shape(x)", ["N", 2, 5, 6]),
        ("s = Shape(x) v = Slice(s, last, ends, zero, last)", [6, 5, 2, "N"]),
        ("s = Shape(x) v = Add(s, last)", [None, 1, 4, 5]),
        ("s = Shape(x) t = Mul(s, zero) v = Concat<axis=0>(t, s)", [None, 0, 0, 0, "N", 2, 5, 6]),
        ("s = Shape(x) b = Cast<to=9>(s) v = Cast<to=7>(b)", [None, 1, 1, 1]),
        ("s = Shape(x) b = Equal(s, last) v = Cast<to=7>(b)", [0, 0, 0, 0]),
        ("s = Shape(x) b = Equal(s, two) v = Cast<to=7>(b)", [None, 1, 0, 0]),
        ("s = Shape(x) b = Greater(s, two) v = Where(b, s, zero)", [None, 0, 5, 6]),
        ("s = Shape(x) v = Gather<axis=0>(s, many)", [2, "N"]),
        ("s = Shape(x) t = Sub(s, one) v = Div(s, t)", [None, 2, 1, 1]),
    ],
)
def test_what_is_known_of_a_shape_is_neither_more_nor_less(body, expected):
    constants = {"zero": [0], "one": [1], "two": [2], "last": [-1], "ends": [-9], "many": [1, 0]}
    used = {name: ints(x) for name, x in constants.items() if name in body}
    assert values(body, "v", **used) == expected


@pytest.mark.parametrize(
    ("shape", "target", "becomes"),
    [
        ([2, 8, 4], [0, 2, -1], ("N", 2, 32)),
        ([2, 8, 4], [-1, 8, 8], ("N", 8, 8)),
        ([2, 8, 4], [-1, 4, 4], (None, 4, 4)),
        ([2, 8, 4], [0, 0, -1, 2], ("N", 2, 16, 2)),
    ],
)
def test_what_a_reshape_leaves_to_be_worked_out(shape, target, becomes):
    case = Case("reshape", "h = Reshape(x, to)", tuple(shape), {"to": ints(target)})
    model = folded(case.model(np.float32))
    found = KnownTensors(model.graph).shape("h")
    assert tuple(x if isinstance(x, int) or x == "N" else None for x in found) == becomes
    images = case.images(3).astype(np.float32)
    flat = in_onnxruntime(model, x=images)["y"]
    np.testing.assert_array_equal(flat, in_onnxruntime(case.model(np.float32), x=images)["y"])
