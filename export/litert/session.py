"""Running a LiteRT file: numbers in, logits out, a few images at a time side by side."""

from __future__ import annotations

import contextlib
import queue
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np

from rnascl_keras.errors import ModelFailed, UserError, one_line
from rnascl_keras.export.litert.image_numbers import ImageNumbers
from rnascl_keras.export.litert.quiet import quiet_libraries
from rnascl_keras.export.litert.reading import Tensor
from rnascl_keras.export.litert.runtime import new_interpreter
from rnascl_keras.hardware import usable_cores

PIECE = 8
"""Images at a time, where the file leaves that open: few fit into the processor's cache."""


class LiteRTSession:
    """Runs a file on the CPU.

    Args:
        path: of the file, for error messages.
        content: of the file, with the logits as its first output.
        numbers: what its input takes.
        logits: the output's tensor.
        threads: in all; by default one for each core that this process may use.

    Attributes:
        one_by_one: whether each image is run alone, as far as the size of batches is open; so it
            is until it is known that images of a batch do not change each other's answers.

    Raises:
        UserError: LiteRT cannot run the file.
    """

    def __init__(
        self,
        path: Path,
        content: bytes,
        numbers: ImageNumbers,
        logits: Tensor,
        threads: int | None = None,
    ) -> None:
        self._numbers, self._logits = numbers, logits
        count = threads or usable_cores()
        # the last one first: what runs alone runs on the same one again, and its random numbers or
        # what it remembers go on from there
        self._free: queue.LifoQueue[Interpreter] = queue.LifoQueue()
        for _ in range(count):
            self._free.put(Interpreter(path, content))
        self._threads = ThreadPoolExecutor(count)
        self.one_by_one = True
        # what ImageInput asks for
        self.inputs = [numbers.described]
        self.metadata: dict[str, str] = {}

    def run(self, values: np.ndarray, *, together: bool = False) -> np.ndarray:
        """Return the logits, (n, classes) float32; one number z an image becomes (0, z).

        Args:
            values: (n, ...), bytes or real numbers as `numbers` wants them; n > 0.
            together: not `one_by_one`, whatever that says.

        Raises:
            UserError: LiteRT fails on them, or gives not one row for each.
        """
        size = self._numbers.tensor.sizes[0] or (PIECE if together or not self.one_by_one else 1)
        # the last piece repeats the last image, so that all are of one size
        rows = [
            np.minimum(np.arange(first, first + size), len(values) - 1)
            for first in range(0, len(values), size)
        ]
        pieces = self._threads.map(self._run_piece, [values[piece] for piece in rows])
        logits = np.concatenate(list(pieces))[: len(values)].astype(np.float32)
        if self._logits.scale is not None:
            logits = (logits - self._logits.zero) * np.float32(self._logits.scale)
        return np.concatenate([0 * logits, logits], axis=1) if logits.shape[1] == 1 else logits

    def _run_piece(self, values: np.ndarray) -> np.ndarray:
        interpreter = self._free.get()
        try:
            return interpreter.run(self._numbers.encode(values))
        finally:
            self._free.put(interpreter)


class Interpreter:
    """A file's interpreter, which remembers for which shape its memory is laid out."""

    def __init__(self, path: Path, content: bytes) -> None:
        self._path, self._shape = path, ()
        with _told_in_one_line(path, "is not a model that LiteRT can run"):
            self._inner: Any = new_interpreter(content)
            (given,), made = self._inner.get_input_details(), self._inner.get_output_details()
            self._given, self._made = given["index"], made[0]["index"]
            # the rest waits for images where it leaves their size open
            if all(size > 0 for size in given["shape_signature"][1:]):
                self._lay_out(tuple(given["shape"]))

    def run(self, values: np.ndarray) -> np.ndarray:
        """Return what it makes of `values`, (n, ...), as (n, classes) of the output's type."""
        with _told_in_one_line(self._path, "fails in LiteRT on these images"):
            if values.shape != self._shape:
                self._lay_out(values.shape)
            self._inner.set_tensor(self._given, values)
            self._inner.invoke()
            made = self._inner.get_tensor(self._made)
        if made.ndim < 2 or len(made) != len(values) or made.size == 0:
            raise ModelFailed(
                f"{self._path}: expected one row for each of {len(values)} images, got an array of "
                f"shape {made.shape}; give an image classifier"
            )
        return made.reshape(len(made), -1)

    def _lay_out(self, shape: tuple[int, ...]) -> None:
        self._shape = ()  # where this fails, it is to be done anew
        with quiet_libraries():
            self._inner.resize_tensor_input(self._given, shape)
            self._inner.allocate_tensors()
        self._shape = shape


@contextlib.contextmanager
def _told_in_one_line(path: Path, what: str) -> Iterator[None]:
    try:
        yield
    except UserError:
        raise
    except Exception as error:  # LiteRT's errors have no common class
        said = one_line(error).removesuffix(".")
        raise ModelFailed(f"{path} {what}: {said}") from error
