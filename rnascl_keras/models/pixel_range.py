"""What a model makes of pixels before its first layer of weights: which range it is made for.

One for pixels from 0 to 255 computes on pixels from 0 to 1 all the same. It then sees black images,
and what it says of them is no error that anything would show.
"""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
from keras import layers

from rnascl_keras.errors import UserError
from rnascl_keras.models.ending import is_functional
from rnascl_keras.models.image_input import shape_to_ask
from rnascl_keras.models.operations import calls

Tensor = Any

NORMALISING = (layers.Normalization, layers.BatchNormalization)
"""What has weights, and yet says how pixels are scaled."""
NARROWEST = 1 / 32
"""Usual normalisations, by a standard deviation of some 0.25, make [0, 1] into a width of 4."""
FARTHEST = 32
"""Times its width, the distance of a range from 0."""


def check_unit_pixels(model: keras.Model, role: str) -> None:
    """Raise UserError where `model` scales its pixels as those of a wider range than [0, 1].

    Args:
        model: as of `range_complaint`.
        role: what it was given as, e.g. "the student".
    """
    if complaint := range_complaint(model):
        raise UserError(f"{role}, {model.name!r}, {complaint}.")


def range_complaint(model: keras.Model) -> str | None:
    """Return what shows that a model is made for pixels of a wider range than [0, 1], and what
    mends it, as the end of a sentence; None where nothing does.

    Seen are layers and operations before the first one of trained weights: they are asked about a
    black and a white image. So a `Rescaling(255)` in front of such a model helps.

    Args:
        model: of images (batch, h, w, c); nothing is seen of one that is not functional, and one of
            whole numbers is left to `logits_of`.
    """
    if not is_functional(model) or len(model.inputs[0].shape) != 4:
        return None
    if not keras.backend.is_float_dtype(model.inputs[0].dtype):
        return None
    shape = shape_to_ask(model, 1)
    black, white = (
        np.asarray(keras.ops.convert_to_numpy(_scaled(model, images)[0]), np.float64)
        for images in (np.zeros(shape, np.float32), np.ones(shape, np.float32))
    )
    width = np.abs(white - black)
    if not (seen := width > 0).any():
        return None
    distance = np.minimum(np.abs(black), np.abs(white))[seen] / width[seen]
    if width.max() >= NARROWEST and distance.min() <= FARTHEST:
        return None
    size = ", ".join(map(str, model.inputs[0].shape[1:]))
    return (
        f"makes pixels in [0, 1] into [{black[seen].min():.4g}, {white[seen].max():.4g}] before "
        "its first layer of weights, so it is made for a wider range, such as 0 to 255; expected a "
        "model of pixels in [0, 1]. Put in front what makes them so, e.g. "
        f"keras.Sequential([keras.Input(({size})), keras.layers.Rescaling(255), model])"
    )


def _scaled(model: keras.Model, values: Tensor) -> tuple[Tensor, bool]:
    """Return what the first operations make of a model's input, and whether they are all it has."""
    tensor = model.inputs[0]
    values = keras.ops.cast(keras.ops.convert_to_tensor(values), tensor.dtype)
    while tensor is not model.outputs[0]:
        node = _only_consumer(model, tensor)
        if node is None:
            return values, False
        if is_functional(node.operation):
            values, whole = _scaled(node.operation, values)
            if not whole:
                return values, False
        elif _is_trained(node.operation):
            return values, False
        else:
            args, kwargs = node.arguments.fill_in({id(tensor): values})
            values = node.operation(*args, **kwargs | _in_inference(node.operation))
        (tensor,) = node.output_tensors
    return values, True


def _only_consumer(model: keras.Model, tensor: Tensor) -> Any:
    """Return the one call in a model's graph that takes a tensor and no other; else None."""
    taking = [node for node in calls(model) if any(x is tensor for x in node.input_tensors)]
    if len(taking) != 1 or len(taking[0].input_tensors) != 1 or len(taking[0].output_tensors) != 1:
        return None
    return taking[0]


def _is_trained(operation: Any) -> bool:
    return bool(getattr(operation, "weights", ())) and not isinstance(operation, NORMALISING)


def _in_inference(operation: Any) -> dict[str, bool]:
    return {"training": False} if getattr(operation, "_call_has_training_arg", False) else {}
