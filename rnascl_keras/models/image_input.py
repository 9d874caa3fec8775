"""What a network is built for: images of one size, and a number of classes."""

from __future__ import annotations

from collections.abc import Sequence
from numbers import Integral
from typing import Any

import keras
import numpy as np

from rnascl_keras.errors import UserError

FEWEST_CLASSES = 2


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
    sizes = tuple(input_shape) if np.iterable(input_shape) else ()
    if len(sizes) != 3 or not all(_is_whole(size) and size >= 1 for size in sizes):
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


def _is_whole(value: Any) -> bool:
    return isinstance(value, Integral) and not isinstance(value, bool)
