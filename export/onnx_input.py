"""What an ONNX graph wants of its images, and giving it that."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from rnascl_keras.errors import UserError

if TYPE_CHECKING:
    from rnascl_keras.export.litert.session import LiteRTSession
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

    Pixels are NHWC, in [0, 1]. A graph that takes uint8 gets them rounded, from 0 to 255; one of
    two axes gets each image as a row, and one of three, images of one channel without its axis.

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
        layout: see above; None of rows of which it is not said.
        batch: the size of its batches; None where it is open.
        input_shape: (h, w, c); None where a size is open.

    Raises:
        UserError: the graph does not take one batch of images, or not these settings.
    """

    def __init__(
        self,
        path: Path,
        session: Session | LiteRTSession,
        *,
        layout: str | None,
        mean: float | Sequence[float],
        std: float | Sequence[float],
    ) -> None:
        self.path = path
        given = _sole_input(path, session.inputs)
        # onnxruntime gives a size left open as a name or as None
        self.batch, *sizes = (size if isinstance(size, int) else None for size in given.shape)
        self._sizes = tuple(sizes)
        self.name, self.dtype = given.name, np.dtype(_TYPES[given.type])
        named = session.metadata.get("input_layout")
        self.layout = _layout(path, sizes, layout or named)
        self.input_shape = _input_shape(sizes, self.layout)
        self._mean = self._channel_values("mean", mean)
        self._std = self._channel_values("std", std)
        if not (self._std > 0).all():
            raise UserError(f"std is {std}; expected positive numbers, in pixel units of [0, 1].")
        self._normalises = bool((self._mean != 0).any() or (self._std != 1).any())
        if self._normalises and self.takes_whole_pixels:
            raise UserError(f"{path} takes uint8 pixels as they are; leave out mean and std.")

    @property
    def takes_whole_pixels(self) -> bool:
        """Whether the graph takes uint8."""
        return self.dtype == np.uint8

    @property
    def takes_rows(self) -> bool:
        """Whether the graph takes each image as a row of numbers."""
        return len(self._sizes) < 3 and len(_longer_than_1(self._sizes)) < 2

    def some_shape(self, size: int) -> tuple[int, int, int]:
        """Return (h, w, c) of images that fit, of this size where it is open."""
        if self.takes_rows:
            return (next(iter(_longer_than_1(self._sizes)), 1) or size, 1, 1)
        height, width, channels = (given or size for given in self.input_shape)
        return (height, width, channels)

    def sizes(self, images: np.ndarray) -> tuple[int, ...]:
        """Return the shape of one of `images`, (n, h, w, c), as the graph takes it."""
        height, width, channels = images.shape[1:]
        if self.takes_rows:
            return tuple(height * width * channels if size != 1 else 1 for size in self._sizes)
        if len(self._sizes) == 2:
            return (height, width)
        nchw = self.layout == "NCHW"
        return (channels, height, width) if nchw else (height, width, channels)

    def encode(self, images: np.ndarray, dtype: str | None = None) -> np.ndarray:
        """Turn pixels, (n, h, w, c), into what the graph takes.

        Args:
            images: the pixels.
            dtype: onnxruntime's name of another type, which the same numbers shall have.
        """
        images = np.asarray(images)
        wanted = self.dtype if dtype is None else np.dtype(_TYPES[dtype])
        if self.takes_whole_pixels:
            images = np.rint(np.clip(images, 0, 1) * 255)
        images = images.astype(np.float64 if wanted == np.float64 else np.float32, copy=False)
        if self._normalises:
            images = (images - self._mean.astype(images.dtype)) / self._std.astype(images.dtype)
        sizes = self.sizes(images)
        if self.layout == "NCHW":
            images = images.transpose(0, 3, 1, 2)
        return np.ascontiguousarray(images.reshape(len(images), *sizes), dtype=wanted)

    def decode_gradient(self, gradient: np.ndarray, images: np.ndarray) -> np.ndarray:
        """Turn the gradient by what the graph takes into that by the pixels of `images`."""
        batch, height, width, channels = images.shape
        if self.layout == "NCHW":
            gradient = gradient.reshape(batch, channels, height, width).transpose(0, 2, 3, 1)
        gradient = np.ascontiguousarray(gradient.reshape(images.shape))
        if self.takes_whole_pixels:
            gradient = gradient * gradient.dtype.type(255)
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
        if self.takes_rows:
            self._check_rows(shape)

    def _check_rows(self, shape: tuple[int, ...]) -> None:
        wanted = next(iter(_longer_than_1(self._sizes)), 1)
        length = int(np.prod(shape[1:]))
        if wanted not in (None, length):
            raise UserError(
                f"{self.path} takes rows of {wanted} numbers; images of shape {shape[1:]} have "
                f"{length}."
            )
        if shape[-1] > 1 and self.layout is None:
            raise UserError(
                f"{self.path} takes each image as a row, in an order of its {shape[-1]} channels "
                "that cannot be seen; say layout='NHWC' or layout='NCHW' (--layout)."
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
    if len(inputs) != 1 or len(inputs[0].shape) not in (2, 3, 4) or inputs[0].type not in _TYPES:
        described = ", ".join(f"{i.name!r} {i.type} {i.shape}" for i in inputs)
        raise UserError(
            f"{path}: expected one input of images, float32 or uint8, of shape (batch, h, w, c), "
            "(batch, c, h, w), (batch, h, w) or (batch, pixels), got "
            f"{described or 'none'}; give an image classifier."
        )
    return inputs[0]


def _longer_than_1(sizes: Sequence[int | None]) -> list[int | None]:
    return [size for size in sizes if size != 1]


def _input_shape(
    sizes: Sequence[int | None], layout: str | None
) -> tuple[int | None, int | None, int | None]:
    """Return (h, w, c) of what has these axes beside the batch's."""
    if len(sizes) == 3:
        height, width, channels = sizes if layout == "NHWC" else (*sizes[1:], sizes[0])
        return (height, width, channels)
    if len(_longer_than_1(sizes)) == 2:
        return (sizes[0], sizes[1], 1)
    return (None, None, None)


def _layout(path: Path, sizes: Sequence[int | None], layout: str | None) -> str | None:
    if layout is not None and layout not in LAYOUTS:
        raise UserError(f"layout is {layout[:20]!r}; expected NHWC or NCHW.")
    if len(sizes) < 3:
        return layout
    last, first = sizes[2] in _CHANNELS, sizes[0] in _CHANNELS
    if layout is not None:
        channels, others = (sizes[2], first) if layout == "NHWC" else (sizes[0], last)
        if others and channels not in (None, *_CHANNELS):
            raise UserError(
                f"{path} takes images of shape {tuple(sizes)}, which would be {channels} channels "
                f"in {layout}; expected layout={'NCHW' if first else 'NHWC'!r} (--layout)."
            )
        return layout
    if last == first:
        raise UserError(
            f"{path} takes images of shape {tuple(sizes)}, which can be (h, w, c) or "
            "(c, h, w); say layout='NHWC' or layout='NCHW' (--layout)."
        )
    return "NHWC" if last else "NCHW"
