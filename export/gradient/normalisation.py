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


def _normalised(step: Step, g: Tensor, axes: list[int]) -> Tensor:
    """From the gradient by the normalised values z: (g - mean(g) - z mean(g z)) / deviation."""
    graph, x = step.graph, step.input()
    centred = x - x.mean(axes, keepdims=True)
    variance = (centred * centred).mean(axes, keepdims=True)
    inverse = graph.op("Reciprocal", graph.op("Sqrt", variance + step.attribute("epsilon")))
    z = centred * inverse
    return inverse * (g - g.mean(axes, keepdims=True) - z * (g * z).mean(axes, keepdims=True))
