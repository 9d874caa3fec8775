"""`rnascl evaluate MODEL.keras`: the figures of any Keras image classifier."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import keras
import tensorflow as tf

from rnascl_keras.attacks.keras_classifier import KerasClassifier
from rnascl_keras.data import ImageData
from rnascl_keras.data.sources import ImageShape
from rnascl_keras.distribution.strategies import make_strategy, offered_by_this_host
from rnascl_keras.errors import UserError, check_name
from rnascl_keras.evaluation.engine import COMPARED, ENGINES, Engine, on_onnxruntime
from rnascl_keras.evaluation.evaluate import Evaluation
from rnascl_keras.evaluation.measured import Measured, check_classes, images_for, measure
from rnascl_keras.evaluation.opened import OpenedFile, opening
from rnascl_keras.evaluation.parts import Parts
from rnascl_keras.evaluation.request import Request
from rnascl_keras.evaluation.results import give
from rnascl_keras.evaluation.rounding import with_square_beside
from rnascl_keras.models.saving import load_model


def evaluate_file(
    path: Path, request: Request, strategy: str = "auto", *, engine: str = "keras"
) -> Evaluation:
    """Evaluate a `.keras` file on this host's devices.

    Args:
        path: of the file.
        request: what is asked.
        strategy: see `make_strategy`; "auto" takes all GPUs of this host, whatever cluster it is
            part of.
        engine: what computes, one of `ENGINES`; onnxruntime does on the CPU.

    Raises:
        UserError: of the file, the request, a strategy of several hosts, or a model that
            onnxruntime cannot take.
    """
    check_name("--engine", engine, ENGINES)
    if engine == "onnxruntime" and strategy not in ("auto", "one"):
        raise UserError(
            f"--engine onnxruntime computes on this host's CPU; got --strategy {strategy} too. "
            "Leave out one of them."
        )
    request.check_paths(path)
    with _on_this_host(strategy).scope():
        with opening(path) as file:
            model = load_model(path)
        classifier = KerasClassifier(model)
        if classifier.remarks:
            print(f"{path.name}: {'; '.join(classifier.remarks)}")
        shape, keep = _input_shape(classifier.model, path), request.images_out is not None
        images = images_for(request, shape)
        check_classes(path, classifier, images)
        request = with_square_beside(path.name, classifier, request, print)
        if engine == "keras":
            measured = measure(file, classifier, images, request, keep=keep)
            measured = replace(measured, engine=Engine("keras"))
        else:
            measured = _on_onnxruntime(file, classifier, images, request, keep)
    give([measured], request)
    return measured.evaluation


def _on_onnxruntime(
    file: OpenedFile, classifier: KerasClassifier, images: ImageData, request: Request, keep: bool
) -> Measured:
    """Measure a model's export; what is told of the file is told of the model."""
    few = Parts(images).first(COMPARED)
    with ExitStack() as stack:
        try:
            export = on_onnxruntime(classifier, few, images.labels[: len(few)])
            exported, engine = stack.enter_context(export)
        except UserError as error:
            raise UserError(f"--engine {error}; leave it out, and Keras computes.") from error
        print(f"{file.path.name}: {engine.in_words}")
        measured = measure(file, exported, images, request, keep=keep)
    return replace(measured, classifier=classifier, engine=engine)


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
