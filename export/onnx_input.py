"""What an ONNX graph wants of its images, and giving it that."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from rnascl_keras.errors import UserError

if TYPE_CHECKING:
    from rnascl_keras.export.onnx_session import Session

LAYOUTS = ("NHWC", "NCHW")
_TYPES = {
    "tensor(float)": np.float32,
    "tensor(double)": np.float64,
    "tensor(float16)": np.float16,
    "tensor(uint8)": np.uint8,
}
_CHANNELS = (1, 3)


class ImageInput:
    """The one input of a graph: turns pixels into what it takes, and its gradient into that of
    the pixels.

    Pixels are NHWC, in [0, 1]. A graph that takes uint8 gets them rounded, from 0 to 255.

    Args:
        path: of the file, for error messages.
        session: open on the file.
        layout: "NHWC" or "NCHW"; by default what the file's metadata says, or where the 1 or 3
            channels are.
        mean, std: a number or one a channel, in pixel units of [0, 1]: the graph takes
            (pixels - mean) / std.

    Attributes:
        name: what the graph calls it.
        dtype: of NumPy, of what the graph takes.
        layout: see above.
        batch: the size of its batches; None where it is open.
        input_shape: (h, w, c); None where a size is open.

    Raises:
        UserError: the graph does not take one batch of images, or not these settings.
    """

    def __init__(
        self,
        path: Path,
        session: Session,
        *,
        layout: str | None,
        mean: float | Sequence[float],
        std: float | Sequence[float],
    ) -> None:
        self.path = path
        given = _sole_input(path, session.inputs)
        # onnxruntime gives a size left open as a name or as None
        self.batch, *sizes = (size if isinstance(size, int) else None for size in given.shape)
        self.name, self.dtype = given.name, np.dtype(_TYPES[given.type])
        named = session.metadata.get("input_layout")
        self.layout = _layout(path, sizes, layout or named)
        height, width, channels = sizes if self.layout == "NHWC" else (*sizes[1:], sizes[0])
        self.input_shape = (height, width, channels)
        self._mean = self._channel_values("mean", mean)
        self._std = self._channel_values("std", std)
        if not (self._std > 0).all():
            raise UserError(f"std is {std}; expected positive numbers, in pixel units of [0, 1].")
        self._normalises = bool((self._mean != 0).any() or (self._std != 1).any())
        if self._normalises and self.dtype == np.uint8:
            raise UserError(f"{path} takes uint8 pixels as they are; leave out mean and std.")

    def sizes(self, images: np.ndarray) -> tuple[int, ...]:
        """Return the shape of one of `images`, (n, h, w, c), in the graph's layout."""
        height, width, channels = images.shape[1:]
        nhwc = self.layout == "NHWC"
        return (height, width, channels) if nhwc else (channels, height, width)

    def encode(self, images: np.ndarray) -> np.ndarray:
        """Turn pixels, (n, h, w, c), into what the graph takes."""
        images = np.asarray(images)
        if self.dtype == np.uint8:
            images = np.rint(np.clip(images, 0, 1) * 255)
        images = images.astype(self.dtype if self.dtype != np.float16 else np.float32)
        if self._normalises:
            images = (images - self._mean.astype(images.dtype)) / self._std.astype(images.dtype)
        if self.layout == "NCHW":
            images = images.transpose(0, 3, 1, 2)
        return np.ascontiguousarray(images, dtype=self.dtype)

    def decode_gradient(self, gradient: np.ndarray) -> np.ndarray:
        """Turn the gradient by what the graph takes into that by the pixels, (n, h, w, c)."""
        if self.layout == "NCHW":
            gradient = np.ascontiguousarray(gradient.transpose(0, 2, 3, 1))
        return gradient / self._std.astype(gradient.dtype) if self._normalises else gradient

    def check(self, images: np.ndarray) -> None:
        """Raise UserError where `images` are none, or have not the shape that the graph takes."""
        shape = np.shape(images)
        fits = len(shape) == 4 and all(
            wanted in (None, given)
            for wanted, given in zip(self.input_shape, shape[1:], strict=True)
        )
        if not fits or shape[0] == 0:
            wanted = ", ".join(str(size or "any") for size in self.input_shape)
            raise UserError(
                f"{self.path}: expected images of shape (n, {wanted}) with n > 0, got {shape}."
            )

    def _channel_values(self, name: str, values: float | Sequence[float]) -> np.ndarray:
        array = np.asarray(values, np.float64)
        channels = self.input_shape[-1]
        if array.shape not in ((), (1,), (channels,)) or not np.isfinite(array).all():
            raise UserError(
                f"{name} is {values}; expected a number, or one for each of the {channels} "
                f"channels that {self.path} takes."
            )
        return array


def _sole_input(path: Path, inputs: Sequence[Any]) -> Any:
    if len(inputs) != 1 or len(inputs[0].shape) != 4 or inputs[0].type not in _TYPES:
        described = ", ".join(f"{i.name!r} {i.type} {i.shape}" for i in inputs)
        raise UserError(
            f"{path}: expected one float32 input of shape (batch, h, w, c) or (batch, c, h, w), "
            f"got {described or 'none'}; give an image classifier."
        )
    return inputs[0]


def _layout(path: Path, sizes: Sequence[int | None], layout: str | None) -> str:
    if layout is None:
        last, first = sizes[2] in _CHANNELS, sizes[0] in _CHANNELS
        if last == first:
            raise UserError(
                f"{path} takes images of shape {tuple(sizes)}, which can be (h, w, c) or "
                "(c, h, w); say layout='NHWC' or layout='NCHW'."
            )
        return "NHWC" if last else "NCHW"
    if layout not in LAYOUTS:
        raise UserError(f"layout is {layout[:20]!r}; expected NHWC or NCHW.")
    return layout
