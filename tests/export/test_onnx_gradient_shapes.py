"""Rules of reductions, and of operators that only move values, against central differences in
float64, and in onnxruntime in float32."""

from __future__ import annotations

import numpy as np
import pytest
from gradient_cases import IMAGE, Case, check_gradient, ints

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
    # exporters write down the value that such a Pad does not use
    *(
        Case(
            f"pad-{mode}-with-a-value",
            f'h = Pad<mode="{mode}", pads=[0, 0, 1, 1, 0, 0, 1, 1], value=0.5>(x)',
            (2, 3, 4),
            opset=9,
        )
        for mode in ("reflect", "edge")
    ),
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


@pytest.mark.parametrize("case", REDUCTIONS + SHAPES, ids=lambda case: case.name)
def test_the_gradient_is_the_limit_of_differences(case):
    check_gradient(case)
