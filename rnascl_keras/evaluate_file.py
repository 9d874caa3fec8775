"""`rnascl evaluate MODEL.keras`: the figures of any Keras image classifier."""

from __future__ import annotations

from pathlib import Path

import keras

from rnascl_keras.attacks.keras_classifier import KerasClassifier
from rnascl_keras.errors import UserError
from rnascl_keras.evaluate import Evaluation
from rnascl_keras.file_evaluation import Request, evaluate_classifier
from rnascl_keras.model_files import load_model


def evaluate_file(path: Path, request: Request) -> Evaluation:
    """Evaluate a `.keras` file."""
    request.look_over(path)
    model = load_model(path)
    return evaluate_classifier(path, KerasClassifier(model), _image_shape(model, path), request)


def _image_shape(model: keras.Model, path: Path) -> tuple[int, int, int]:
    shape = getattr(model, "input_shape", None)
    if not isinstance(shape, tuple) or len(shape) != 4:
        raise UserError(
            f"{path} takes input of shape {shape}; expected one of images, (batch, height, width, "
            "channels)."
        )
    return shape[1:]
