"""Which channels of a network are the same ones: what has to go together when one goes.

Every value along a channel axis gets a number. Convolutions and dense layers make new numbers, an
addition makes those of its sides one, everything that works channel by channel hands them on. What
this does not know keeps all its channels, on both sides, so any functional model can be followed.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import keras
import numpy as np

layers = keras.layers
CONVOLUTIONS = (layers.Conv1D, layers.Conv2D, layers.Conv3D)
MAKERS = (*CONVOLUTIONS, layers.Dense)
ALIKE = (layers.Add, layers.Subtract, layers.Multiply, layers.Average, layers.Maximum)
BY_CHANNEL = (
    layers.BatchNormalization,
    layers.DepthwiseConv2D,
    layers.Activation,
    layers.ReLU,
    layers.LeakyReLU,
    layers.ELU,
    layers.Dropout,
    layers.SpatialDropout2D,
    layers.GaussianNoise,
    layers.MaxPooling2D,
    layers.AveragePooling2D,
    layers.GlobalAveragePooling2D,
    layers.GlobalMaxPooling2D,
    layers.ZeroPadding2D,
    layers.Cropping2D,
    layers.UpSampling2D,
)


@dataclass
class Channels:
    """The channels of a functional model.

    Attributes:
        inputs: by layer, the numbers of its input's channels, (c,).
        outputs: by layer, those of its output's.
        parents: of a number, one that it was made the same as, or itself.
        fixed: numbers that have to stay.
    """

    inputs: dict[str, np.ndarray] = field(default_factory=dict)
    outputs: dict[str, np.ndarray] = field(default_factory=dict)
    parents: list[int] = field(default_factory=list)
    fixed: set[int] = field(default_factory=set)

    @classmethod
    def of(cls, model: keras.Model) -> Channels:
        """Follow the channels of `model` from its input to its logits, which all stay."""
        found, values = cls(), {}
        for node in (nodes := _nodes(model)):
            given = [values[id(tensor)] for tensor in node.input_tensors]
            times = sum(other.operation is node.operation for other in nodes)
            for tensor in node.output_tensors:
                values[id(tensor)] = found._output(node, given, tensor, times)
        for tensor in model.outputs:
            found.fixed.update(values[id(tensor)].tolist())
        return found

    def root(self, number: int) -> int:
        """Return the one number that stands for all that are the same."""
        while self.parents[number] != number:
            number = self.parents[number]
        return number

    def roots(self, numbers: np.ndarray) -> np.ndarray:
        """Return `root` of each, (c,)."""
        return np.array([self.root(int(number)) for number in numbers], int)

    def _output(self, node: Any, given: list[np.ndarray], out: Any, times: int) -> np.ndarray:
        """Return the numbers of an output's channels, (c,), and note those of a layer.

        Args:
            node: the call that makes it.
            given: the numbers of what the call takes.
            out: what it makes.
            times: how often its operation is called: one kernel for several places stays whole.
        """
        operation = node.operation
        made = self._handed_on(operation, node, given, out)
        if len(made) != out.shape[-1] or times > 1:
            made = self._unknown([*given, made], out)
        if given:
            self.inputs[operation.name], self.outputs[operation.name] = given[0], made
        return made

    def _handed_on(
        self, operation: Any, node: Any, given: list[np.ndarray], out: Any
    ) -> np.ndarray:
        widths = {len(numbers) for numbers in given}
        last_axis = getattr(operation, "data_format", "channels_last") == "channels_last"
        if not given or not last_axis:
            return self._unknown(given, out)
        if isinstance(operation, MAKERS) and getattr(operation, "groups", 1) == 1:
            return self._new(out.shape[-1])
        if getattr(operation, "axis", -1) not in (-1, len(out.shape) - 1):
            return self._unknown(given, out)
        if isinstance(operation, BY_CHANNEL) and len(widths) == 1:
            return given[0]
        if isinstance(operation, ALIKE) and len(widths) == 1:
            return self._same(given)
        if isinstance(operation, layers.Concatenate):
            return np.concatenate(given)
        if isinstance(operation, layers.Flatten) and None not in out.shape[1:]:
            return np.tile(given[0], out.shape[-1] // len(given[0]))
        if isinstance(operation, layers.Rescaling) and np.ndim(operation.scale) == 0:
            return given[0]
        if _slices_rows_only(operation, node):
            return given[0]
        return self._unknown(given, out)

    def _new(self, count: int) -> np.ndarray:
        first = len(self.parents)
        self.parents += range(first, first + count)
        return np.arange(first, first + count)

    def _same(self, given: list[np.ndarray]) -> np.ndarray:
        for others in given[1:]:
            for one, other in zip(given[0], others, strict=True):
                a, b = self.root(int(one)), self.root(int(other))
                self.parents[b] = a
        return given[0]

    def _unknown(self, given: list[np.ndarray], out: Any) -> np.ndarray:
        made = self._new(out.shape[-1])
        for numbers in [*given, made]:
            self.fixed.update(numbers.tolist())
        return made


def _slices_rows_only(operation: Any, node: Any) -> bool:
    """Return whether it is an indexing `x[:, ::2, ::2]` that leaves the channels alone."""
    if type(operation).__name__ != "GetItem":
        return False
    arguments = (*node.arguments.args, *node.arguments.kwargs.values())
    key = arguments[1]
    key = key if isinstance(key, tuple) else (key,)
    rank = len(node.input_tensors[0].shape)
    return len(key) < rank and all(isinstance(part, slice) for part in key)


def _nodes(model: keras.Model) -> list[Any]:
    """Return the calls of a functional model, each after those that it takes from."""
    functional: Any = model
    nodes = functional._nodes_by_depth
    return [node for depth in sorted(nodes, reverse=True) for node in nodes[depth]]
