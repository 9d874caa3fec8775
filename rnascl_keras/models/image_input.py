"""What a network is built for: images of one size, and a number of classes."""

from __future__ import annotations

from collections.abc import Sequence
from numbers import Integral
from typing import Any

import keras
import numpy as np

from rnascl_keras.errors import UserError

FEWEST_CLASSES = 2
OPEN_SIZE = 224
"""Pixels a side, of a model that leaves it open: ImageNet's."""


def image_input(input_shape: Sequence[int]) -> Any:
    """Return a model's input: images (height, width, channels) with pixels in [0, 1].

    Raises:
        UserError: as of `checked_input_shape`, or Keras is set to take the channels of images
            first, as the layers of a network would.
    """
    sizes = checked_input_shape(input_shape)
    if keras.config.image_data_format() != "channels_last":
        raise UserError(
            "Keras is set to channels_first, in which this network would take the rows of its "
            "images for channels; call keras.config.set_image_data_format('channels_last') before "
            "building it."
        )
    return keras.Input(sizes, name="images")


def checked_input_shape(input_shape: Sequence[int]) -> tuple[int, int, int]:
    """Return (height, width, channels).

    Raises:
        UserError: these are not three whole numbers of at least 1.
    """
    sizes = whole_sizes(input_shape, 3)
    if sizes is None:
        raise UserError(
            f"input_shape is {input_shape}; expected the height, width and channels of the images, "
            "e.g. (32, 32, 3)."
        )
    return sizes


def check_classes(classes: int) -> None:
    """Raise UserError unless `classes` is a number of classes to tell apart."""
    if not _is_whole(classes) or classes < FEWEST_CLASSES:
        raise UserError(
            f"classes is {classes}; expected the number of classes to tell apart, at least "
            f"{FEWEST_CLASSES}."
        )


def shape_to_ask(model: keras.Model, images: int) -> tuple[int, ...]:
    """Return the shape of a batch that `model` can be asked about.

    Args:
        model: of one input (batch, h, w, c).
        images: how many, where the model leaves that open.
    """
    batch, *sides = model.inputs[0].shape
    return (batch or images, *(OPEN_SIZE if side is None else side for side in sides))


def whole_sizes(values: Any, count: int) -> tuple[Any, ...] | None:
    """Return `values` where they are so many whole numbers of at least 1; else None."""
    sizes = tuple(values) if np.iterable(values) else ()
    fits = len(sizes) == count and all(_is_whole(size) and size >= 1 for size in sizes)
    return sizes if fits else None


def _is_whole(value: Any) -> bool:
    return isinstance(value, Integral) and not isinstance(value, bool)
