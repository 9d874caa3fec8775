"""Which numbers a LiteRT file takes for the pixels of an image.

Integers stand for real numbers, (q - zero) * scale. A file of integers is given the bytes of an
image as they are, less 128 where its integers have a sign: so cameras feed it, and so it wants them
whether it was trained on pixels from 0 to 1, from -1 to 1 or from 0 to 255. It is given the real
numbers where these are said to be others, or where its integers cover the darker pixels only.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from rnascl_keras.errors import UserError
from rnascl_keras.export.litert.reading import Tensor

_FLOATS = {"float32": "tensor(float)", "float16": "tensor(float16)", "float64": "tensor(double)"}
_BYTES = ("uint8", "int8")
_INTEGERS = (*_BYTES, "int16")
_HALF_A_LEVEL = 1 / 510


@dataclass(frozen=True)
class Described:
    """An input as `ImageInput` wants it described; `type` is onnxruntime's name."""

    name: str
    type: str
    shape: list[int | None]


class ImageNumbers:
    """Turns bytes, or real numbers, into what an input takes.

    Args:
        tensor: the input.
        real: whether integers are given the real numbers that they stand for, and not bytes.

    Attributes:
        tensor: the input.
        described: it, of type uint8 where bytes are wanted.
        takes_bytes: whether they are.

    Raises:
        UserError: it is of another type.
    """

    def __init__(self, tensor: Tensor, real: bool) -> None:
        self.tensor = tensor
        kind = str(tensor.dtype)
        if kind not in (*_FLOATS, *_INTEGERS):
            raise UserError(
                f"its input {tensor.name!r} is of type {kind}; expected float32, int8, uint8 or "
                "int16. Give an image classifier."
            )
        self.takes_bytes = kind in _BYTES and not (real or self._covers_a_part())
        name = "tensor(uint8)" if self.takes_bytes else _FLOATS.get(kind, "tensor(float)")
        # nothing goes by the name, and it can be empty
        self.described = Described(tensor.name.strip() or "input 0", name, list(tensor.sizes))
        if kind in _INTEGERS and not self.takes_bytes and tensor.scale is None:
            raise UserError(
                f"its input {tensor.name!r} is {kind} without a scale, and takes bytes; leave out "
                "mean and std."
            )

    @property
    def is_quantised(self) -> bool:
        """Whether real numbers are rounded to its integers."""
        return str(self.tensor.dtype) in _INTEGERS and not self.takes_bytes

    @property
    def lowest(self) -> int:
        """The lowest of its integers, which stands for the byte 0."""
        return int(np.iinfo(self.tensor.dtype or np.uint8).min)

    @property
    def in_words(self) -> str:
        """What it takes, in a phrase; empty for floats."""
        kind = str(self.tensor.dtype)
        if self.is_quantised:
            return f"takes {kind}, in steps of {self.tensor.scale:.3g}"
        if self.takes_bytes:
            return f"takes {kind}, the bytes of an image{' less 128' if self.lowest else ''}"
        return ""

    def encode(self, values: np.ndarray) -> np.ndarray:
        """Return what the input takes, (n, ...), for bytes or real numbers of that shape."""
        if str(self.tensor.dtype) not in _INTEGERS:
            return values
        whole: Any = values.astype(np.int16) + self.lowest
        if self.is_quantised:
            # float32, as the ONNX operator computes it
            whole = np.rint(values / np.float32(self.tensor.scale or 1)) + self.tensor.zero
        bounds = np.iinfo(self.tensor.dtype or np.uint8)
        return np.clip(whole, bounds.min, bounds.max).astype(self.tensor.dtype)

    def _covers_a_part(self) -> bool:
        """Whether the integers stand for [0, x], x below the brightest pixel's 1."""
        scale = self.tensor.scale
        if scale is None or self.tensor.zero != self.lowest:
            return False
        return 255 * scale < 1 - _HALF_A_LEVEL
