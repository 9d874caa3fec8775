"""The rule of GridSample (Jaderberg et al., 2015, equations 5 to 7), for images."""

from __future__ import annotations

from dataclasses import dataclass

from onnx import TensorProto

from rnascl_keras.export.gradient.graph import Tensor
from rnascl_keras.export.gradient.registry import Step, Unsupported, rule

_LINEAR, _NEAREST = (b"linear", b"bilinear"), (b"nearest",)


@dataclass(frozen=True)
class _Axis:
    """Where along one axis the values are taken from; tensors of (batch, 1, places).

    Attributes:
        size: of the axis.
        factor: by which a step in the grid is longer in values; 0 where the border stops it.
        corners: of the value before and of that behind, or of the nearest only: its position, its
            weight, and the weight's slope by the place.
    """

    size: int
    factor: Tensor
    corners: list[tuple[Tensor, Tensor, Tensor]]


@rule("GridSample", inputs=(0, 1))
def grid_sample(step: Step) -> dict[int, Tensor]:
    """Each value goes back to the two by two it was interpolated from, by their weights."""
    graph, x, grid = step.graph, step.input(), step.input(1)
    if step.rank() != 4:
        raise Unsupported("it samples no images")
    height, width = step.sizes(x, 2)
    across = _axis(step, _coordinate(grid, 0), width)
    down = _axis(step, _coordinate(grid, 1), height)
    # (batch, channels, h, w) -> (batch, channels, places)
    g = step.gradient.reshape([0, 0, -1])
    flat = x.reshape([0, 0, height * width])
    by_x = graph.zeros(graph.op("Shape", flat), x.dtype)
    slopes: dict[str, Tensor] = {}
    for row, weight_y, slope_y in down.corners:
        for column, weight_x, slope_x in across.corners:
            places = graph.op("Expand", row * width + column, graph.op("Shape", g))
            if 0 in step.wanted:
                part = g * (weight_x * weight_y)
                by_x = graph.op("ScatterElements", by_x, places, part, axis=2, reduction="add")
            if 1 in step.wanted:
                values = graph.op("GatherElements", flat, places, axis=2)
                total = (g * values).sum([1], keepdims=True)
                for key, slope in (("x", slope_x * weight_y), ("y", slope_y * weight_x)):
                    slopes[key] = slopes[key] + total * slope if key in slopes else total * slope
    gradients = {}
    if 0 in step.wanted:
        gradients[0] = graph.reshape_like(by_x, x)
    if 1 in step.wanted:
        pair = [slopes["x"] * across.factor, slopes["y"] * down.factor]
        # (batch, 1, places) twice -> (batch, places, 2)
        joined = graph.op("Transpose", graph.op("Concat", *pair, axis=1), perm=[0, 2, 1])
        gradients[1] = graph.reshape_like(joined, grid)
    return gradients


def _coordinate(grid: Tensor, k: int) -> Tensor:
    """(batch, h, w, 2) -> (batch, 1, places): of x, or of y."""
    graph = grid.graph
    one = graph.op("Gather", grid, graph.constant(k, TensorProto.INT64), axis=3)
    return graph.op("Unsqueeze", one.reshape([0, -1]), graph.integers([1]))


def _axis(step: Step, place: Tensor, size: int) -> _Axis:
    graph, mode, padding = step.graph, step.attribute("mode"), step.attribute("padding_mode")
    if mode not in _LINEAR + _NEAREST or padding not in (b"zeros", b"border"):
        raise Unsupported(f"it samples by {mode.decode()!r} with {padding.decode()!r} around")
    # from -1 at the first value, or at its edge, to 1 at the last
    if step.attribute("align_corners"):
        scale = (size - 1) / 2
        place = (place + 1) * scale
    else:
        scale = size / 2
        place = (place + 1) * scale - 0.5
    factor = graph.constant(scale, place.dtype)
    if padding == b"border":
        inside = graph.op("And", place >= 0, place <= size - 1)
        factor = inside.where(factor, 0)
        place = _clipped(place, size)
    if mode in _NEAREST:
        corners = [(graph.op("Round", place), None, 0.0)]
    else:
        before = graph.op("Floor", place)
        behind = place - before
        corners = [(before, 1 - behind, -1.0), (before + 1, behind, 1.0)]
    return _Axis(size, factor, [_corner(*corner, size) for corner in corners])


def _corner(
    place: Tensor, weight: Tensor | None, slope: float, size: int
) -> tuple[Tensor, Tensor, Tensor]:
    """Beyond the axis there are zeros: no weight, and no slope."""
    graph = place.graph
    inside = graph.op("And", place >= 0, place <= size - 1).cast(place.dtype)
    kept = inside if weight is None else weight * inside
    return _clipped(place, size).cast(TensorProto.INT64), kept, inside * slope


def _clipped(place: Tensor, size: int) -> Tensor:
    graph = place.graph
    bounds = [graph.constant(bound, place.dtype) for bound in (0, size - 1)]
    return graph.op("Clip", place, *bounds)
