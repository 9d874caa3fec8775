"""Models whose images have their channels first, (c, h, w), as those that have them last."""

from __future__ import annotations

from typing import Any

import keras
from keras import layers

from rnascl_keras.models.operations import REARRANGING, operations

CHANNELS = (1, 3)
"""Of grey and of coloured images: the axis of this size is that of the channels."""


def channels_last(model: keras.Model) -> keras.Model:
    """Return `model`, on images of (batch, h, w, c); itself where it takes such.

    Attacks that change whole pixels or squares would change something else where the axis of the
    channels is taken for a side of the images.
    """
    if not takes_channels_first(model):
        return model
    batch, channels, height, width = model.inputs[0].shape
    images: Any = keras.Input(
        (height, width, channels), batch_size=batch, dtype=model.inputs[0].dtype
    )
    turn = layers.Permute((3, 1, 2), name=f"{model.name}_channels_first", dtype=images.dtype)
    first = turn(images)
    return keras.Model(images, model(first), name=model.name)


def takes_channels_first(model: keras.Model) -> bool:
    """Return whether the axes of a model's images are (batch, c, h, w): by their sizes, and by what
    the first layer says that meets them as they are."""
    inputs = getattr(model, "inputs", None) or []  # a subclassed one has none
    if len(inputs) != 1 or len(inputs[0].shape) != 4:
        return False
    _, first, _, last = (size in CHANNELS for size in inputs[0].shape)
    _, _, height, width = inputs[0].shape
    if last and not first:
        return False
    for operation in operations(model):
        if type(operation).__name__ in REARRANGING:
            break
        if layout := getattr(operation, "data_format", None):
            return layout == "channels_first"
    return first and not last and height == width  # else a signal of so many rows, as likely
