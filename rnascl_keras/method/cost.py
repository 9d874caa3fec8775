"""Multiply-adds and parameters of a student, exact and expected, and the latency term n_f.

A multiply-add (MAC) is counted for every convolution and dense layer; parameters include batch
normalisation's scale and offset, not its moving statistics.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from keras import ops
from keras.config import floatx

from rnascl_keras.errors import check_name
from rnascl_keras.method.spaces import EXPANSION, SearchSpace

Tensor = Any
Widths = Sequence[Sequence[int]]

COMBINE = ("multiply", "add")


@dataclass(frozen=True)
class BlockCost:
    """What a block costs, of its input width a and output width b.

    MACs = `square` a^2 + `linear` a + `product` a b + 12 a `squeezed`(a): in the last, the two
    dense layers of its squeeze-and-excitation, `SearchSpace.squeezed` is not linear.
    """

    square: int
    linear: int
    product: int
    squeezed: Callable[[int], int]

    def macs(self, a: int, b: int) -> int:
        """Multiply-adds for widths a and b."""
        return self.square * a * a + self.linear * a + self.product * a * b + self.excite(a)

    def excite(self, a: int) -> int:
        """Those of the squeeze-and-excitation."""
        return 2 * EXPANSION * a * self.squeezed(a)


def sides(space: SearchSpace, input_shape: Sequence[int]) -> list[tuple[int, int, int, int]]:
    """Return (height in, width in, height out, width out) of every block, in order."""
    height, width = (math.ceil(n / space.stem_stride) for n in input_shape[:2])
    found = []
    for stage in space.stages:
        for block in range(stage.depth):
            stride = stage.stride if block == 0 else 1
            below = math.ceil(height / stride), math.ceil(width / stride)
            found.append((height, width, *below))
            height, width = below
    return found


def block_costs(space: SearchSpace, input_shape: Sequence[int]) -> list[BlockCost]:
    """Return the cost of every block, in order."""
    return [
        BlockCost(
            square=EXPANSION * h_in * w_in,  # 1x1 expansion: 6 a^2
            linear=9 * EXPANSION * h_out * w_out,  # 3x3 depthwise: 9 * 6 a
            product=EXPANSION * h_out * w_out,  # 1x1 projection: 6 a b
            squeezed=space.squeezed,
        )
        for h_in, w_in, h_out, w_out in sides(space, input_shape)
    ]


def frame_macs(space: SearchSpace, input_shape: Sequence[int], classes: int) -> tuple[int, int]:
    """Return what surrounds the blocks: (constant, multiple of the last block's width)."""
    height, width = (math.ceil(n / space.stem_stride) for n in input_shape[:2])
    stem = 9 * input_shape[2] * space.stem_width * height * width
    if space.head_width is None:
        return stem, classes
    _, _, height, width = sides(space, input_shape)[-1]
    return stem + space.head_width * classes, space.head_width * height * width


def flatten(widths: Widths) -> list[int]:
    """Return one list of widths, block by block."""
    return [width for stage in widths for width in stage]


def count_macs(space: SearchSpace, widths: Widths, input_shape: Sequence[int], classes: int) -> int:
    """Return the multiply-adds of the student of these widths, for one image."""
    constant, last = frame_macs(space, input_shape, classes)
    flat = [space.stem_width, *flatten(widths)]
    costs = block_costs(space, input_shape)
    return (
        constant
        + last * flat[-1]
        + sum(cost.macs(a, b) for cost, a, b in zip(costs, flat, flat[1:], strict=False))
    )


def count_parameters(space: SearchSpace, widths: Widths, input_channels: int, classes: int) -> int:
    """Return the trainable parameters of the student of these widths."""
    flat = [space.stem_width, *flatten(widths)]
    total = 9 * input_channels * flat[0] + 2 * flat[0]  # stem and its batch normalisation
    for a, b in zip(flat, flat[1:], strict=False):
        hidden = EXPANSION * a
        total += a * hidden + 9 * hidden + hidden * b + 2 * (2 * hidden + b)
        if squeezed := space.squeezed(a):  # two dense layers, each with its bias
            total += 2 * hidden * squeezed + squeezed + hidden
    features = flat[-1]
    if space.head_width is not None:
        total += features * space.head_width + 2 * space.head_width
        features = space.head_width
    return total + (features + 1) * classes


def expected_macs(
    space: SearchSpace,
    probabilities: Sequence[Tensor],
    input_shape: Sequence[int],
    classes: int,
) -> Tensor:
    """Return the expectation of `count_macs` over independent choices, differentiable.

    An expansion's input and hidden width are the same choice, so it costs 6 E[a^2], not 6 E[a]^2,
    and likewise what squeezes and excites them; a projection's two widths are independent choices:
    6 E[a] E[b].

    Args:
        space: the search space.
        probabilities: of each block's widths, in order, each of shape (choices,).
        input_shape: (height, width, channels) of the images.
        classes: number of classes.

    Returns:
        scalar, float32, in single multiply-adds.
    """
    rows = [stage.widths for stage in space.stages for _ in range(stage.depth)]
    first = float(space.stem_width)
    means: list[Tensor] = [first]
    squares: list[Tensor] = [first**2]
    for choices, p in zip(rows, probabilities, strict=True):
        widths = np.asarray(choices, floatx())
        means.append(ops.sum(p * widths))
        squares.append(ops.sum(p * widths**2))
    constant, last = frame_macs(space, input_shape, classes)
    total = constant + last * means[-1]
    for k, cost in enumerate(block_costs(space, input_shape)):
        total = (
            total
            + cost.square * squares[k]
            + means[k] * (cost.linear + cost.product * means[k + 1])
        )
    return total + _expected_excitation(space, rows, probabilities)


def _expected_excitation(
    space: SearchSpace, rows: Sequence[Sequence[int]], probabilities: Sequence[Tensor]
) -> Tensor:
    """Return the part of `expected_macs` that squeezes and excites: of each block's input."""
    if space.squeeze_excite is None:
        return 0.0
    cost = BlockCost(0, 0, 0, space.squeezed)
    inputs = zip(rows[:-1], probabilities, strict=False)
    total: Tensor = float(cost.excite(space.stem_width))
    for row, p in inputs:
        total = total + ops.sum(p * np.asarray([cost.excite(a) for a in row], floatx()))
    return total


def largest_macs(space: SearchSpace, input_shape: Sequence[int], classes: int) -> int:
    """Return the multiply-adds of the space's largest student."""
    return count_macs(space, space.widths_everywhere(max), input_shape, classes)


def latency_term(
    expected: Tensor, *, alpha: float, beta: float, combine: str, largest: float
) -> Tensor:
    """Return n_f of eq. 2.

    Args:
        expected: multiply-adds in single units, or a latency in microseconds, as FBNet has it: the
            logarithm of either is well above 0.
        alpha: factor, 0.2 in FBNet.
        beta: exponent of the *logarithm*, 0.6 in FBNet. `log(macs ** beta)`, seen in public code,
            would be beta * log(macs), another function.
        combine: `"multiply"`: n_f = alpha * log(macs) ** beta multiplies the loss, as in eq. 2.
            `"add"`: n_f = alpha * expected / largest is added to it.
        largest: what the space's largest student takes.
    """
    if combine == "multiply":
        logarithm: Tensor = ops.log(expected)
        return alpha * logarithm**beta
    return alpha * expected / largest


def check_combine(combine: str) -> None:
    """Raise UserError unless `combine` is one of `COMBINE`."""
    check_name("combine", combine, COMBINE)
