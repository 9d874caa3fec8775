"""`rnascl evaluate MODEL.keras`: the figures of any Keras image classifier."""

from __future__ import annotations

from pathlib import Path

import keras
import tensorflow as tf

from rnascl_keras.attacks.keras_classifier import KerasClassifier
from rnascl_keras.data.sources import ImageShape
from rnascl_keras.distribution.strategies import make_strategy, offered_by_this_host
from rnascl_keras.errors import UserError
from rnascl_keras.evaluation.evaluate import Evaluation
from rnascl_keras.evaluation.measured import images_for, measure
from rnascl_keras.evaluation.request import Request
from rnascl_keras.evaluation.results import give
from rnascl_keras.models.saving import load_model


def evaluate_file(path: Path, request: Request, strategy: str = "auto") -> Evaluation:
    """Evaluate a `.keras` file on this host's devices.

    Args:
        path: of the file.
        request: what is asked.
        strategy: see `make_strategy`; "auto" takes all GPUs of this host, whatever cluster it is
            part of.

    Raises:
        UserError: of the file, the request, or a strategy of several hosts.
    """
    request.check_paths(path)
    with _on_this_host(strategy).scope():
        model = load_model(path)
        classifier = KerasClassifier(model)
        if classifier.remarks:
            print(f"{path.name}: {'; '.join(classifier.remarks)}")
        shape, keep = _input_shape(model, path), request.images_out is not None
        measured = measure(path, classifier, images_for(request, shape), request, keep=keep)
    give([measured], request)
    return measured.evaluation


def _on_this_host(strategy: str) -> tf.distribute.Strategy:
    if strategy == "multi_worker":
        raise UserError(
            "a MODEL.keras is evaluated on one host; give --strategy one, mirrored or tpu, or "
            "evaluate a recipe's run."
        )
    return make_strategy(offered_by_this_host() if strategy == "auto" else strategy)


def _input_shape(model: keras.Model, path: Path) -> ImageShape:
    shape = getattr(model, "input_shape", None)
    if not isinstance(shape, tuple) or len(shape) != 4:
        raise UserError(
            f"{path} takes input of shape {shape}; expected one of images, (batch, height, width, "
            "channels)."
        )
    return shape[1:]
