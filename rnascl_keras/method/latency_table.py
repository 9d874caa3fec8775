"""The latency of a space's students from that of their blocks, measured once on a device."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from keras import ops

from rnascl_keras.errors import UserError
from rnascl_keras.files.whole import read_json, write_json
from rnascl_keras.method.blocks import block_names
from rnascl_keras.method.cost import flatten, latency_term
from rnascl_keras.method.spaces import SearchSpace

Tensor = Any
Widths = Sequence[Sequence[int]]
MICROSECOND = 1e-3
"""In milliseconds; what takes less has no logarithm that n_f could multiply by."""


@dataclass(frozen=True)
class BlockLatency:
    """What a part of a network takes at some of its widths.

    Attributes:
        inputs, outputs: widths that were measured, ascending.
        ms: milliseconds, (inputs, outputs), each with `LatencyTable.overhead`.
    """

    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    ms: np.ndarray

    def __post_init__(self) -> None:
        for name in ("inputs", "outputs"):
            object.__setattr__(self, name, tuple(getattr(self, name)))
        object.__setattr__(self, "ms", np.asarray(self.ms, np.float64))
        ascending = all(list(w) == sorted(set(w)) and w for w in (self.inputs, self.outputs))
        if not ascending or self.ms.shape != (len(self.inputs), len(self.outputs)):
            raise ValueError(f"{self.ms.shape} times of {self.inputs} by {self.outputs} channels")
        if not (np.isfinite(self.ms).all() and (self.ms > 0).all()):
            raise ValueError("a time is not a positive number")

    def at(self, inputs: Sequence[int], outputs: Sequence[int]) -> np.ndarray:
        """Return milliseconds at these widths, (inputs, outputs), linear between the measured."""
        for asked, known in ((inputs, self.inputs), (outputs, self.outputs)):
            if not known[0] <= min(asked) <= max(asked) <= known[-1]:
                raise ValueError(f"channels {tuple(asked)} are not within {known}")
        columns = np.stack([np.interp(inputs, self.inputs, column) for column in self.ms.T], 1)
        return np.stack([np.interp(outputs, self.outputs, row) for row in columns])


@dataclass(frozen=True)
class LatencyTable:
    """Milliseconds of the parts of a space's students.

    A student takes the overhead of one run, and of each part what it takes beyond that.

    Attributes:
        made_with: what it was measured with: `onnxruntime`, `threads`, `batch`, `space`,
            `input_shape` and `classes`.
        overhead: of running a network that does next to nothing.
        stem: of the first convolution, with the overhead, as the others.
        blocks: of every block, in order.
        tail: of what follows the last block, by its width; `outputs` is (1,).
    """

    made_with: dict[str, Any]
    overhead: float
    stem: float
    blocks: tuple[BlockLatency, ...]
    tail: BlockLatency

    @cached_property
    def space(self) -> SearchSpace:
        """The space whose students it predicts."""
        return SearchSpace.from_dict(self.made_with["space"])

    @cached_property
    def fixed(self) -> float:
        """Milliseconds that every student takes."""
        return self.overhead + max(0.0, self.stem - self.overhead)

    @cached_property
    def parts(self) -> list[np.ndarray]:
        """Milliseconds of each block and of the tail by choices: (choices before, choices) each.

        The first has one choice before it, the stem; the tail has one choice itself.
        """
        rows = [stage.widths for stage in self.space.stages for _ in range(stage.depth)]
        before = [(self.space.stem_width,), *rows]
        found = [
            block.at(inputs, outputs)
            for block, inputs, outputs in zip(self.blocks, before[:-1], rows, strict=True)
        ]
        found.append(self.tail.at(before[-1], (1,)))
        return [np.maximum(ms - self.overhead, 0.0) for ms in found]

    def predict(self, widths: Widths) -> float:
        """Return the milliseconds of the student of these widths."""
        choices = [stage.widths for stage in self.space.stages for _ in range(stage.depth)]
        picks = [row.index(width) for row, width in zip(choices, flatten(widths), strict=True)]
        steps = zip(self.parts, [0, *picks], [*picks, 0], strict=True)
        return self.fixed + float(sum(ms[before, own] for ms, before, own in steps))

    def expected(self, probabilities: Sequence[Tensor]) -> Tensor:
        """Return the expectation of `predict` over independent choices, differentiable.

        Args:
            probabilities: of each block's widths, in order, each of shape (choices,).

        Returns:
            scalar, float32, in milliseconds.
        """
        one = np.ones(1, "float32")
        total: Tensor = np.float32(self.fixed)
        ends = [one, *probabilities, one]
        for ms, before, own in zip(self.parts, ends[:-1], ends[1:], strict=True):
            # (before) (before, own) (own) -> ()
            total = total + ops.sum(ops.matmul(before, np.float32(ms)) * own)
        return total

    def n_f(self, expected: Tensor, *, alpha: float, beta: float, combine: str) -> Tensor:
        """Return n_f of eq. 2 for an expected latency in milliseconds, see `cost.latency_term`."""
        largest = self.predict(self.space.widths_everywhere(max)) / MICROSECOND
        microseconds = expected / MICROSECOND
        return latency_term(microseconds, alpha=alpha, beta=beta, combine=combine, largest=largest)

    def check_fits(self, space: SearchSpace, input_shape: Sequence[int], classes: int) -> None:
        """Raise UserError unless it is of this space, image size and number of classes."""
        wanted = _subject(space, input_shape, classes)
        other = [key for key, value in wanted.items() if self.made_with[key] != value]
        if other:
            raise UserError(
                f"the latency table is of another {' and '.join(other)}; expected one of space "
                f"{space.name!r}, images {tuple(input_shape)}, {classes} classes; measure it again."
            )

    def save(self, path: Path) -> Path:
        """Write the table as JSON."""
        names = [name for row in block_names(self.space.depths) for name in row]
        parts = zip([*names, "tail"], [*self.blocks, self.tail], strict=True)
        content = {
            "made_with": self.made_with,
            "overhead_ms": self.overhead,
            "stem_ms": self.stem,
            "parts": [
                {
                    "name": name,
                    "inputs": list(part.inputs),
                    "outputs": list(part.outputs),
                    "ms": part.ms.tolist(),
                }
                for name, part in parts
            ],
        }
        return write_json(path, content)

    @classmethod
    def load(cls, path: Path) -> LatencyTable:
        """Read what `save` wrote.

        Raises:
            UserError: the file is missing, truncated, or no table of a space's latencies.
        """
        content = read_json(path)
        try:
            *blocks, tail = [
                BlockLatency(part["inputs"], part["outputs"], part["ms"])
                for part in content["parts"]
            ]
            overhead, stem = float(content["overhead_ms"]), float(content["stem_ms"])
            table = cls(content["made_with"], overhead, stem, tuple(blocks), tail)
            if not (0 < overhead < np.inf and 0 < stem < np.inf):
                raise ValueError("a time is not a positive number")
            if table.fixed <= MICROSECOND:
                raise ValueError("a student would take less than a microsecond")
            if len(table.parts) != sum(table.space.depths) + 1:
                raise ValueError("blocks are missing")
            for key in ("onnxruntime", "threads", "batch", "input_shape", "classes"):
                table.made_with[key]
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise UserError(
                f"{path} is no table of a space's latencies ({error!r}); delete it, or measure it "
                "again."
            ) from error
        return table


def made_with(
    space: SearchSpace, input_shape: Sequence[int], classes: int, threads: str
) -> dict[str, Any]:
    """Return what a table is measured with here: one that says the same is not measured again.

    Args:
        space, input_shape, classes: of the students.
        threads: `one_thread` or `all_threads`.
    """
    import onnxruntime

    device = {"onnxruntime": onnxruntime.__version__, "threads": threads, "batch": 1}
    return device | _subject(space, input_shape, classes)


def _subject(space: SearchSpace, input_shape: Sequence[int], classes: int) -> dict[str, Any]:
    return {"space": space.to_dict(), "input_shape": list(input_shape), "classes": classes}
