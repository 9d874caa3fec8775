"""Rules of normalisations by the input's own mean and variance."""

from __future__ import annotations

from onnx import TensorProto

from rnascl_keras.export.gradient.graph import Tensor
from rnascl_keras.export.gradient.registry import Step, Unsupported, rule


@rule("InstanceNormalization")
def instance_normalization(step: Step) -> dict[int, Tensor]:
    rank = step.rank()
    # (channels,) -> (channels, 1, .., 1)
    scale = step.input(1).reshape([-1, *[1] * (rank - 2)])
    return {0: _normalised(step, step.gradient * scale, list(range(2, rank)))}


@rule("LayerNormalization")
def layer_normalization(step: Step) -> dict[int, Tensor]:
    if step.attribute("stash_type") != TensorProto.FLOAT:
        raise Unsupported("it normalises in another type than float32")
    rank = step.rank()
    axes = list(range(step.attribute("axis") % rank, rank))
    return {0: _normalised(step, step.gradient * step.input(1), axes)}


@rule("LRN")
def local_response_normalization(step: Step) -> dict[int, Tensor]:
    """y = x / d^beta, where d = bias + alpha / size * the sum of x^2 over the channels around
    (Krizhevsky et al., 2012, section 3.3). By x it is
    g / d^beta - 2 alpha beta / size * x * the sum of g x / d^(beta + 1) over the channels around
    which x is: the same window, turned round."""
    g, x = step.gradient, step.input()
    alpha, beta, size = (step.attribute(name) for name in ("alpha", "beta", "size"))
    less, more = (size - 1) // 2, size // 2
    d = _over_channels(step, x * x, (less, more)) * alpha + step.attribute("bias")
    power = step.graph.op("Pow", d, -beta)
    around = _over_channels(step, g * x * (power / d), (more, less))
    return {0: g * power - x * around * (2 * alpha * beta)}


def _over_channels(step: Step, x: Tensor, pads: tuple[int, int]) -> Tensor:
    """The mean of `size` channels around each, where there are 0 beyond the first and last."""
    channels, *_ = step.sizes(step.input(), 1)[:1]
    # (batch, channels, ..) -> (batch, 1, channels, ..)
    rows = x.reshape([0, 1, channels, -1])
    kernel = {"kernel_shape": [step.attribute("size"), 1], "pads": [pads[0], 0, pads[1], 0]}
    means = step.graph.op("AveragePool", rows, count_include_pad=1, **kernel)
    return step.graph.reshape_like(means, step.input())


@rule("LpNormalization")
def norm_normalization(step: Step) -> dict[int, Tensor]:
    """y = x / n for the norm n: (g - n' sum(g y)) / n, where n' is its gradient, y for the
    Euclidean one. Of an axis of zeros it is 0."""
    graph, g, x, y = step.graph, step.gradient, step.input(), step.output()
    axes = [step.attribute("axis")]
    euclidean = step.attribute("p") == 2
    norm = graph.reduce("ReduceL2" if euclidean else "ReduceL1", x, axes, keepdims=True)
    slope = y if euclidean else graph.op("Sign", x)
    by_x = (g - slope * (g * y).sum(axes, keepdims=True)) / norm
    return {0: (norm > 0).where(by_x, 0)}


def _normalised(step: Step, g: Tensor, axes: list[int]) -> Tensor:
    """From the gradient by the normalised values z: (g - mean(g) - z mean(g z)) / deviation."""
    graph, x = step.graph, step.input()
    centred = x - x.mean(axes, keepdims=True)
    variance = (centred * centred).mean(axes, keepdims=True)
    inverse = graph.op("Reciprocal", graph.op("Sqrt", variance + step.attribute("epsilon")))
    z = centred * inverse
    return inverse * (g - g.mean(axes, keepdims=True) - z * (g * z).mean(axes, keepdims=True))
