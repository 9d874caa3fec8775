"""From a Keras student to an ONNX file and a SavedModel, neither published unchecked.

The student must be made of stock layers. Input `images` (batch, h, w, c) float32 in [0, 1], output
`logits` (batch, classes), the batch left open. Use `keras.layers.Rescaling` to normalise: the
constants of `keras.layers.Normalization` become further required inputs of the ONNX graph.
"""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from rnascl_keras.errors import UserError, one_line
from rnascl_keras.export.fusion import fused
from rnascl_keras.export.onnx_classifier import OnnxClassifier
from rnascl_keras.export.parity import (
    check_logits,
    keras_logits,
    saved_model_logits,
)
from rnascl_keras.export.same_names import name_by_place
from rnascl_keras.files import whole as files
from rnascl_keras.models.full_float32 import full_float32

if TYPE_CHECKING:
    import keras
    import tensorflow as tf

INPUT_NAME = "images"
OUTPUT_NAME = "logits"
OPSET = 18
# The version that came with opset 18: onnxruntime has read it since 1.14.
IR_VERSION = 8
MOST_IMAGES = 1000
METADATA = {"input_layout": "NHWC", "input_range": "[0, 1]", "output": "logits"}


@dataclass(frozen=True)
class ExportedModel:
    """Two files and how close the ONNX file comes to its Keras model.

    Attributes:
        onnx_path: the ONNX file.
        saved_model_path: the SavedModel's folder.
        bytes: size of the ONNX file.
        sha256: of the ONNX file, in hexadecimal.
        max_abs_difference: largest difference of a logit on the images compared.
        agreement: share of these images, 0 to 1, that get the same class.
    """

    onnx_path: Path
    saved_model_path: Path
    bytes: int
    sha256: str
    max_abs_difference: float
    agreement: float

    @property
    def path(self) -> Path:
        """The ONNX file."""
        return self.onnx_path


def export_student(
    model: keras.Model,
    directory: str | Path,
    name: str,
    images: np.ndarray,
    *,
    tolerance: float = 1e-4,
    metadata: dict[str, str] | None = None,
) -> ExportedModel:
    """Write `directory/NAME.onnx` and `directory/NAME_saved_model/`, each checked on `images`.

    Both are made in a folder beside and renamed once they pass; on failure nothing is left behind
    and files of an earlier export stay as they were.

    Args:
        model: gives logits (batch, classes) for pixels (batch, h, w, c) in [0, 1], in float32; of
            one that ends in a softmax or a sigmoid, the logits are exported.
        name: stem of the names, e.g. "student".
        images: float32 (n, h, w, c); the first 1,000 are compared.
        tolerance: largest difference allowed between the file's logits and the model's.
        metadata: further properties of the ONNX file.

    Raises:
        UserError: the model or the images cannot be exported as they are.
        ExportError: a file differs from the model by more than `tolerance`, or puts more than
            1 image in 1,000 into another class.
    """
    from rnascl_keras.models.logits import logits_model

    check_exportable(model)
    model = logits_model(model)
    images = _check_images(model, images)
    directory = Path(directory)
    onnx_path, saved_model_path = directory / f"{name}.onnx", directory / f"{name}_saved_model"
    beside = directory / f".{name}_export.part"
    # a run that was killed may have left one
    shutil.rmtree(beside, ignore_errors=True)
    beside.mkdir(parents=True)
    try:
        made_onnx, made_saved_model = beside / onnx_path.name, beside / saved_model_path.name
        write_onnx(model, made_onnx, metadata)
        write_saved_model(model, made_saved_model)
        difference, agreement = _compare(model, made_onnx, made_saved_model, images, tolerance)
        size, digest = made_onnx.stat().st_size, files.sha256(made_onnx)
        if saved_model_path.exists():  # goes with what is left of `beside`
            os.replace(saved_model_path, beside / "replaced")
        files.publish(made_saved_model, saved_model_path)
        files.publish(made_onnx, onnx_path)
    finally:
        shutil.rmtree(beside, ignore_errors=True)
    return ExportedModel(onnx_path, saved_model_path, size, digest, difference, agreement)


def _compare(
    model: keras.Model, onnx_file: Path, saved_model: Path, images: np.ndarray, tolerance: float
) -> tuple[float, float]:
    """Check both files against the model; return the ONNX file's difference and agreement."""
    with full_float32():
        expected = keras_logits(model, images)
        onnx_logits = OnnxClassifier(onnx_file).logits(images)
        check_logits(saved_model, saved_model_logits(saved_model, images), expected, tolerance)
    return check_logits(onnx_file, onnx_logits, expected, tolerance)


def check_exportable(model: keras.Model) -> None:
    """Raise UserError unless `model` is functional, float32, and turns images into logits."""
    # a subclassed model has neither attribute
    inputs, outputs = getattr(model, "inputs", None) or [], getattr(model, "outputs", None) or []
    takes, gives = ([tuple(tensor.shape) for tensor in tensors] for tensors in (inputs, outputs))
    if list(map(_fixed_sizes, takes)) != [3] or list(map(_fixed_sizes, gives)) != [1]:
        raise UserError(
            f"Model {model.name!r}: expected a functional model from one input (batch, h, w, c) to "
            f"one output (batch, classes) to export, got {takes or 'none'} to {gives or 'none'}."
        )
    from rnascl_keras.models.altered import altered_layers, quantisation

    if scaled := [x for x in altered_layers(model) if quantisation(x) == "float8"]:
        raise UserError(
            f"Model {model.name!r}: layer {scaled[0].name!r} computes in float8, which no file is "
            "written in; build the same model without quantize, and give it these kernels."
        )
    lower = [x for x in model.layers if x.compute_dtype != "float32"]
    if lower:
        raise UserError(
            f"Model {model.name!r}: only float32 is exported, but layer {lower[0].name!r} computes "
            f"in {lower[0].compute_dtype}; build the same model under the float32 policy and give "
            "it these weights by set_weights."
        )


def _fixed_sizes(shape: tuple[int | None, ...]) -> int | None:
    """Return how many sizes follow the batch's, or None where one of them is left open."""
    return None if None in shape[1:] else len(shape) - 1


def _check_images(model: keras.Model, images: np.ndarray) -> np.ndarray:
    images = np.asarray(images[:MOST_IMAGES], dtype=np.float32)
    wanted = tuple(model.inputs[0].shape[1:])
    if images.shape[1:] != wanted or len(images) == 0:
        raise UserError(
            f"Model {model.name!r}: expected images of shape {wanted} to check its export with, "
            f"at least one, got an array of shape {images.shape}."
        )
    return images


def _signature(model: keras.Model) -> list[tf.TensorSpec]:
    import tensorflow as tf

    # (batch, h, w, c), batch open
    shape = (None, *model.inputs[0].shape[1:])
    return [tf.TensorSpec(shape, tf.float32, name=INPUT_NAME)]


def write_onnx(model: keras.Model, path: Path, metadata: dict[str, str] | None = None) -> None:
    """Write `model` as ONNX, its batch normalisation folded into its convolutions, unchecked.

    Equal models give equal bytes, see `same_names`.

    Raises:
        UserError: ONNX has no operations for it.
    """
    import onnx
    import tensorflow as tf
    import tf2onnx

    signature = _signature(model)

    @tf.function(input_signature=signature)
    def serve(images: tf.Tensor) -> dict[str, tf.Tensor]:
        return {OUTPUT_NAME: model(images, training=False)}

    graph, _ = tf2onnx.convert.from_function(serve, input_signature=signature, opset=OPSET)
    further = [i.name for i in graph.graph.input if i.name != INPUT_NAME]
    if further:
        raise UserError(
            f"Model {model.name!r}: its ONNX graph would ask for {', '.join(further)} besides the "
            "images; keras.layers.Normalization does that, use keras.layers.Rescaling."
        )
    graph.ir_version = IR_VERSION
    for value in (*graph.graph.input, *graph.graph.output):
        value.type.tensor_type.shape.dim[0].dim_param = "batch"
    onnx.helper.set_model_props(graph, METADATA | (metadata or {}))
    try:
        onnx.checker.check_model(graph, full_check=True)
    except onnx.checker.ValidationError as error:
        raise UserError(
            f"Model {model.name!r}: ONNX refuses its graph: {one_line(error)}; export a "
            "model made of stock Keras layers that ONNX has operations for."
        ) from error
    made = fused(graph)
    name_by_place(made)
    onnx.save(made, path)


def write_saved_model(model: keras.Model, path: Path) -> None:
    """Write `model` as a SavedModel, unchecked."""
    import keras

    archive: Any = keras.export.ExportArchive()  # of the backend in use
    archive.track(model)
    archive.add_endpoint(
        "serving_default",
        lambda images: {OUTPUT_NAME: model(images, training=False)},
        input_signature=_signature(model),
    )
    archive.write_out(str(path), verbose=False)
