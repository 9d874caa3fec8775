"""Running a session over many images: in batches, and these in pieces side by side."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import numpy as np

from rnascl_keras.errors import ModelFailed
from rnascl_keras.export.onnx_session import CPU
from rnascl_keras.hardware import usable_cores

if TYPE_CHECKING:
    import onnx

    from rnascl_keras.export.onnx_input import ImageInput
    from rnascl_keras.export.onnx_session import Session

FEWEST_IN_PIECE, MOST_IN_PIECE = 8, 32
"""Images: fewer pay for starting each operation, of more what one operation makes is not in the
processor's cache any more when the next one reads it."""
VALUES_IN_PIECE = 2**18
"""Of a network's largest tensor, so many values in a piece; measured by `benchmarks.pieces`."""
LARGEST_READ = 2**28
"""Bytes of a model whose tensors' shapes are looked at."""


class Batches:
    """Divides images among runs of a session.

    On a CPU, where the file leaves the size of its batches open, a batch is run in pieces of a few
    images, each on one thread: that is faster than all threads within each operation, where they
    wait for one another and hand large tensors through the memory.

    Args:
        model: what is run.
        threads: in all; by default one for each core that this process may use.
        providers: what computes.

    Attributes:
        threads_within: an operation, as onnxruntime is to be told; None for its own choice.
        one_by_one: whether each image is run alone, for what is said of it depends on those beside
            it; where the file fixes the size of its batches it cannot be.
    """

    def __init__(
        self, model: onnx.ModelProto, threads: int | None, providers: Sequence[str]
    ) -> None:
        self._in_pieces = set(providers) == {CPU} and not _fixes_batch(model)
        self.one_by_one = _mixes_images(model)
        self.threads_within = 1 if self._in_pieces else threads
        self._at_once = (threads or usable_cores()) if self._in_pieces else 1
        self._threads = ThreadPoolExecutor(self._at_once) if self._at_once > 1 else None
        self._most = images_in_piece(model) if self._in_pieces else 1

    def run(
        self,
        session: Session,
        names: Sequence[str],
        given: ImageInput,
        images: np.ndarray,
        others: dict[str, np.ndarray],
        batch_size: int,
        *,
        whole: bool = False,
    ) -> list[np.ndarray]:
        """Return the outputs of these names, each with one row an image.

        Args:
            session: on the model, or on its gradient's; its first input are the images.
            given: what the model takes.
            images: pixels (n, h, w, c) in [0, 1], n > 0.
            others: further inputs by name, (n, ...).
            batch_size: images at a time, where the file leaves it open.
            whole: whether a batch is run in one piece.

        Raises:
            ModelFailed: onnxruntime fails, or there is not one row for each image.
        """
        images, input_name = np.asarray(images), session.inputs[0].name
        kind = session.inputs[0].type

        def one(piece: slice) -> list[np.ndarray]:
            rows: Any = piece  # no copy, but where the last image is repeated
            if piece.stop > len(images):
                last = len(images) - 1
                rows = [min(row, last) for row in range(piece.start, piece.stop)]
            feeds = {name: array[rows] for name, array in others.items()}
            return _rows(session, names, {input_name: given.encode(images[rows], kind), **feeds})

        batch_size = max(1, batch_size)
        pieces = self._pieces(len(images), given.batch, batch_size, whole)
        each = self._threads.map if self._threads else map
        made = list(each(one, pieces))
        joined = made[0] if len(made) == 1 else map(np.concatenate, zip(*made, strict=True))
        return [result[: len(images)] for result in joined]

    def _pieces(
        self, count: int, fixed: int | None, batch_size: int, whole: bool
    ) -> Iterator[slice]:
        """Yield the rows of each run; where the file fixes the size of its batches, the last one
        goes on behind the images."""
        size = fixed or (1 if self.one_by_one else batch_size)
        if self._in_pieces and not whole:
            size = min(-(-min(size, count) // self._at_once), self._most)
        for first in range(0, count, size):
            yield slice(first, first + size if fixed else min(first + size, count))


def images_in_piece(model: onnx.ModelProto) -> int:
    """Return how many images a piece has, by the largest tensor that a layer makes of one image."""
    largest = _largest_tensor(model)
    return min(max(VALUES_IN_PIECE // largest, FEWEST_IN_PIECE), MOST_IN_PIECE)


def _largest_tensor(model: onnx.ModelProto) -> int:
    """Return how many values the largest tensor in between has for one image, as far as its sizes
    are known; where none are, as many as fill a piece."""
    from onnx import shape_inference

    if model.ByteSize() > LARGEST_READ:
        return VALUES_IN_PIECE
    try:
        known = shape_inference.infer_shapes(model).graph.value_info
    except Exception:  # what is wrong with the file is told where it is opened
        return VALUES_IN_PIECE
    shapes = [value.type.tensor_type.shape.dim for value in known]
    sizes = [[axis.dim_value for axis in axes[1:]] for axes in shapes if len(axes) > 2]
    return max((math.prod(own) for own in sizes if all(own)), default=VALUES_IN_PIECE)


def _rows(session: Session, names: Sequence[str], feeds: dict[str, np.ndarray]) -> list[np.ndarray]:
    """Run a session; each of its results must have one row for each image."""
    results = session.run(names, feeds)
    batch = len(next(iter(feeds.values())))
    for name, result in zip(names, results, strict=True):
        if np.ndim(result) < 1 or len(result) != batch or np.size(result) == 0:
            raise ModelFailed(
                f"{session.path}: expected {name} of one row for each of {batch} images, got an "
                f"array of shape {np.shape(result)}; export an image classifier whose scores have "
                "the images along their first axis"
            )
    return results


def _mixes_images(model: onnx.ModelProto) -> bool:
    """Whether what is said of an image depends on those beside it: kernels that find the range of
    their input as they run take that of the whole batch."""
    return any("DynamicQuantize" in node.op_type for node in model.graph.node)


def _fixes_batch(model: onnx.ModelProto) -> bool:
    # old files name their weights among the inputs
    weights = {tensor.name for tensor in model.graph.initializer}
    inputs = [value for value in model.graph.input if value.name not in weights]
    axes = [axis for value in inputs for axis in value.type.tensor_type.shape.dim[:1]]
    return any(axis.dim_value > 1 for axis in axes)
