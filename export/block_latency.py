"""Measuring the blocks of a search space in onnxruntime: the table that a search takes."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from rnascl_keras.export.latency import THREADS, median_seconds
from rnascl_keras.export.onnx_session import CPU, SessionMaker
from rnascl_keras.method.cost import sides
from rnascl_keras.method.latency_table import BlockLatency, LatencyTable, made_with
from rnascl_keras.method.spaces import EXPANSION, SearchSpace, get_space
from rnascl_keras.progress import progress_bar

MOST_WIDTHS = 4
"""Of a stage's widths so many are measured, the others interpolated."""
SECONDS = 0.2
OPSET, IR_VERSION = 18, 8

_Widths = tuple[int, ...]


def measure_latency_table(
    space: str | SearchSpace,
    input_shape: tuple[int, int, int] = (32, 32, 3),
    classes: int = 10,
    *,
    threads: str = "one_thread",
    progress: bool = True,
) -> LatencyTable:
    """Measure every block of a space at its widths, as the students' ONNX files have them, batch 1.

    To be called on the device that the students are for. `save` writes the table, and the recipe's
    `search.latency_table` takes it elsewhere.

    Args:
        space: a `SearchSpace` or the name of one.
        input_shape: (height, width, channels) of the images.
        classes: number of classes.
        threads: `"one_thread"`, or `"all_threads"`: onnxruntime's own choice.
        progress: show a bar.
    """
    space = get_space(space)

    @cache
    def measured(part: _Part) -> float:
        return _milliseconds(part, threads)

    last = sides(space, input_shape)[-1][2:]
    blocks = _block_grids(space, input_shape)
    count = sum(len(inputs) * len(outputs) for _, inputs, outputs in blocks)
    with progress_bar(total=count, desc="latency", unit="block", wanted=progress) as bar:

        def grid(place: tuple, inputs: _Widths, outputs: _Widths) -> BlockLatency:
            ms = np.empty((len(inputs), len(outputs)))
            for i, before in enumerate(inputs):
                for k, own in enumerate(outputs):
                    ms[i, k] = measured(_block(space, before, own, *place))
                    bar.update()
            return BlockLatency(inputs, outputs, ms)

        grids = tuple(grid(*block) for block in blocks)
    widths = blocks[-1][2]
    tails = [measured(_tail(space, n, *last, classes)) for n in widths]
    stem = _stem(space, *input_shape)
    return LatencyTable(
        made_with=made_with(space, input_shape, classes, threads),
        overhead=measured(NOTHING),
        stem=measured(stem),
        blocks=grids,
        tail=BlockLatency(widths, (1,), np.array(tails)[:, None]),
    )


def _block_grids(
    space: SearchSpace, input_shape: Sequence[int]
) -> list[tuple[tuple, _Widths, _Widths]]:
    """Return of every block (height, width, stride, residual), and the widths to measure."""
    found, before = [], (space.stem_width,)
    places = iter(sides(space, input_shape))
    for stage in space.stages:
        for position in range(stage.depth):
            height, width, *_ = next(places)
            stride = stage.stride if position == 0 else 1
            own = _some(stage.widths)
            found.append(((height, width, stride, position > 0), before, own))
            before = own
    return found


def _some(widths: Sequence[int]) -> _Widths:
    """Return at most `MOST_WIDTHS` of the widths, the smallest and the largest among them."""
    ordered = sorted(widths)
    places = np.linspace(0, len(ordered) - 1, min(MOST_WIDTHS, len(ordered))).round()
    return tuple(ordered[int(k)] for k in places)


_Part = tuple
"""A part of a network: the shape of its input, and its operations; all of it hashable."""
NOTHING: _Part = ((1, 1, 1), ())


def _block(
    space: SearchSpace, before: int, own: int, height: int, width: int, stride: int, residual: bool
) -> _Part:
    hidden, squeezed = EXPANSION * before, space.squeezed(before)
    operations: list[tuple] = [
        ("conv", before, hidden, 1, 1, 1, space.activation),
        ("conv", hidden, hidden, 3, stride, hidden, space.activation),
        *([("squeeze_excite", hidden, squeezed, space.activation)] if squeezed else []),
        ("conv", hidden, own, 1, 1, 1, None),
    ]
    if residual:
        operations.append(("add", before, own))
    return (before, height, width), tuple(operations)


def _stem(space: SearchSpace, height: int, width: int, channels: int) -> _Part:
    convolution = ("conv", channels, space.stem_width, 3, space.stem_stride, 1, space.activation)
    return (channels, height, width), (convolution,)


def _tail(space: SearchSpace, before: int, height: int, width: int, classes: int) -> _Part:
    head = space.head_width
    convolution = (("conv", before, head, 1, 1, 1, space.activation),) if head else ()
    return (before, height, width), (*convolution, ("dense", head or before, classes))


def _milliseconds(part: _Part, threads: str) -> float:
    """Return the median time of a part in onnxruntime."""
    model = _onnx_model(part)
    shape = (1, *part[0])
    images = np.random.default_rng(0).random(shape, dtype=np.float32)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "part.onnx"
        onnx.save(model, path)
        session = SessionMaker(path, THREADS[threads], [CPU]).open(model)
    return 1000 * median_seconds(lambda: session.run(["y"], {"x": images}), SECONDS)


def _onnx_model(part: _Part) -> onnx.ModelProto:
    """Return a part as NCHW graph, with random weights and batch normalisation folded away."""
    shape, operations = part
    graph = _Graph()
    value = "x"
    for kind, *arguments in operations:
        value = getattr(graph, kind)(value, *arguments)
    graph.nodes.append(helper.make_node("Identity", [value], ["y"]))
    inputs = [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, *shape])]
    outputs = [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)]
    made = helper.make_graph(graph.nodes, "part", inputs, outputs, graph.weights)
    opsets = [helper.make_opsetid("", OPSET)]
    return helper.make_model(made, opset_imports=opsets, ir_version=IR_VERSION)


class _Graph:
    """Nodes and weights as they come; each method takes a value's name and returns another's."""

    def __init__(self) -> None:
        self.nodes: list[onnx.NodeProto] = []
        self.weights: list[onnx.TensorProto] = []
        self._random = np.random.default_rng(0)

    def conv(
        self,
        x: str,
        before: int,
        own: int,
        kernel: int,
        stride: int,
        groups: int,
        activation: str | None,
    ) -> str:
        weight = self._weight(own, before // groups, kernel, kernel)
        settings = {"kernel_shape": [kernel] * 2, "strides": [stride] * 2, "group": groups}
        y = self._node("Conv", x, weight, self._weight(own), auto_pad="SAME_UPPER", **settings)
        return self._activated(y, activation) if activation else y

    def squeeze_excite(self, x: str, hidden: int, squeezed: int, activation: str) -> str:
        y = self.conv(self._node("GlobalAveragePool", x), hidden, squeezed, 1, 1, 1, activation)
        y = self._node("Sigmoid", self.conv(y, squeezed, hidden, 1, 1, 1, None))
        return self._node("Mul", x, y)

    def add(self, y: str, before: int, own: int) -> str:
        x = "x"
        if own > before:
            pads = np.array([0, 0, 0, 0, 0, own - before, 0, 0])
            x = self._node("Pad", x, self._constant(pads))
        elif own < before:
            ends = (self._constant(np.array([n])) for n in (0, own, 1))
            x = self._node("Slice", x, *ends)
        return self._node("Add", y, x)

    def dense(self, x: str, before: int, own: int) -> str:
        x = self._node("Flatten", self._node("GlobalAveragePool", x))
        return self._node("Gemm", x, self._weight(before, own), self._weight(own))

    def _activated(self, x: str, activation: str) -> str:
        if activation == "relu":
            return self._node("Relu", x)
        if activation == "hard_swish":
            return self._node("HardSwish", x)
        return self._node("Mul", x, self._node("Sigmoid", x))

    def _weight(self, *shape: int) -> str:
        return self._constant(self._random.normal(0, 0.1, shape).astype("float32"))

    def _constant(self, array: np.ndarray) -> str:
        name = f"weight{len(self.weights)}"
        self.weights.append(numpy_helper.from_array(array, name))
        return name

    def _node(self, operation: str, *inputs: str, **attributes: Any) -> str:
        name = f"value{len(self.nodes)}"
        self.nodes.append(helper.make_node(operation, list(inputs), [name], **attributes))
        return name
