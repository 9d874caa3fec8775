"""Whether a model is an image classifier that others can take apart and train."""

from __future__ import annotations

from typing import Any

import keras

from rnascl_keras.errors import UserError
from rnascl_keras.models.pixel_range import check_unit_pixels


def check_classifier(model: Any, role: str) -> None:
    """Raise UserError unless `model` is built, and gives logits (batch, classes) for images
    (batch, h, w, c) in [0, 1]: one tensor for one.

    Args:
        model: what was given.
        role: what it was given as, e.g. "the student".
    """
    expected = (
        "expected a classifier: a built functional or Sequential keras.Model of one input and one "
        "output"
    )
    if not isinstance(model, keras.Model):
        raise UserError(f"{role} is a {type(model).__name__}; {expected}.")
    if getattr(model, "inputs", None) is None:
        raise UserError(
            f"{role}, {model.name!r}, is not built or is a subclassed model; {expected}: call a "
            "Sequential one on images, or give it a keras.Input; rewrite a subclassed one."
        )
    if len(model.inputs) != 1 or len(model.outputs) != 1:
        raise UserError(
            f"{role}, {model.name!r}, has {len(model.inputs)} input(s) and {len(model.outputs)} "
            f"output(s); {expected}."
        )
    if isinstance(model.compute_output_spec(model.inputs[0]), dict):
        raise UserError(f"{role}, {model.name!r}, gives its output in a dict; {expected}.")
    takes, gives = model.inputs[0].shape, model.outputs[0].shape
    if len(takes) != 4 or len(gives) != 2 or gives[1] is None:
        raise UserError(
            f"{role}, {model.name!r}, maps {takes} to {gives}; expected a classifier of images, "
            "(None, height, width, channels) to (None, classes)."
        )
    check_unit_pixels(model, role)
