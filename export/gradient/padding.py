"""Zeros around values and between them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from rnascl_keras.export.gradient.graph import Tensor

# as a bound of Slice: to the end
LAST = np.iinfo(np.int64).max


def crop(g: Tensor, begins: np.ndarray, ends: np.ndarray) -> Tensor:
    """Cut `begins` and `ends` values off each axis; where negative, put zeros there instead."""
    graph = g.graph
    inside = np.maximum([begins, ends], 0)
    if inside.any():
        axes = np.flatnonzero(inside.any(axis=0))
        stops = [-int(ends[axis]) if ends[axis] > 0 else LAST for axis in axes]
        bounds = (inside[0][axes], stops, axes)
        g = graph.op("Slice", g, *(graph.integers(bound) for bound in bounds))
    outside = np.maximum([-begins, -ends], 0)
    return graph.op("Pad", g, graph.integers(outside.ravel())) if outside.any() else g


def zeros_between(
    g: Tensor, channels: int, counts: Sequence[int], strides: Sequence[int] | np.ndarray
) -> Tensor:
    """Put zeros after each value, so that along each spatial axis `stride` come from one.

    Args:
        g: (batch, channels, *counts).
    """
    graph, rank = g.graph, 2 + len(counts)
    # The channels come last, so that whole rows of them are moved. 0 leaves the batch as it is.
    g = graph.op("Transpose", g, perm=[0, *range(2, rank), 1])
    # A zero row behind each of the last axis' is one of as many more channels.
    apart = [x for count in counts[:-1] for x in (count, 1)]
    g = g.reshape([0, *apart, counts[-1], channels]) if apart else g
    behind = [x for stride in strides[:-1] for x in (0, stride - 1)]
    behind = [0, *behind, 0, (strides[-1] - 1) * channels]
    g = graph.op("Pad", g, graph.integers([0] * len(behind) + behind))
    sizes = [count * stride for count, stride in zip(counts, strides, strict=True)]
    g = g.reshape([0, *sizes, channels])
    return graph.op("Transpose", g, perm=[0, rank - 1, *range(1, rank - 1)])
