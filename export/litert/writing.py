"""From a Keras student to a float and an int8 LiteRT file, neither published unchecked.

The int8 file computes in whole numbers from its first operator to its last, as microcontrollers do:
weights are signed bytes with a scale for each output channel, activations signed bytes in the range
met on the calibration images, biases 32 bits. Its ends are floats, which it turns into integers
itself, or the integers.
"""

from __future__ import annotations

import collections
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from rnascl_keras.errors import UserError, one_line
from rnascl_keras.export.convert import check_exportable, write_saved_model
from rnascl_keras.export.litert.litert_classifier import LiteRTClassifier
from rnascl_keras.export.litert.memory import activation_bytes
from rnascl_keras.export.litert.microcontroller import missing_on_microcontrollers
from rnascl_keras.export.litert.quiet import quiet_libraries
from rnascl_keras.export.litert.reading import read_litert
from rnascl_keras.export.parity import check_logits, keras_logits
from rnascl_keras.export.quantise import LEAST_AGREEMENT, check_agreement
from rnascl_keras.export.saved_model_path import without_wildcards
from rnascl_keras.files.whole import atomic_write, sha256
from rnascl_keras.models.full_float32 import full_float32

if TYPE_CHECKING:
    import keras


@dataclass(frozen=True)
class LiteRTModel:
    """A LiteRT file and how close it comes to its Keras model.

    Attributes:
        path: the file.
        bytes: its size.
        sha256: of its bytes, in hexadecimal.
        max_abs_difference: largest difference of a logit on the images compared.
        agreement: share of these images, 0 to 1, that get the same class.
        operators: how many it has of each kind.
        activation_bytes: see `memory.activation_bytes`.
    """

    path: Path
    bytes: int
    sha256: str
    max_abs_difference: float
    agreement: float
    operators: dict[str, int]
    activation_bytes: int


def export_litert(
    model: keras.Model,
    directory: str | Path,
    name: str,
    images: np.ndarray,
    calibration_images: np.ndarray,
    *,
    saved_model: Path | None = None,
    tolerance: float = 1e-4,
    least_agreement: float = LEAST_AGREEMENT,
    integer_ends: bool = False,
) -> tuple[LiteRTModel, LiteRTModel]:
    """Write `directory/NAME.tflite` and `directory/NAME_int8.tflite`, each checked on `images`.

    A file takes its name once it passes; otherwise one that had the name before stays as it was.

    Args:
        model: gives logits (batch, classes) for pixels (batch, h, w, c) in [0, 1], in float32; of
            one that ends in a softmax or a sigmoid, the logits are exported.
        directory: where to write.
        name: stem of the names, e.g. "student".
        images: float32 (n, h, w, c) to compare on.
        calibration_images: float32 (m, h, w, c), a few hundred training images, not augmented.
        saved_model: what `export_student` has written of the model; by default it is written for
            the moment.
        tolerance: largest difference allowed between the float file's logits and the model's.
        least_agreement: share of `images`, 0 to 1, that must get the same class from the int8
            file as from the model.
        integer_ends: whether the int8 file takes and gives signed bytes.

    Returns:
        The float file and the int8 file.

    Raises:
        UserError: LiteRT has no operators for the model, or the int8 file does not agree with it.
        ExportError: the float file differs from the model.
    """
    from rnascl_keras.models.logits import logits_model

    check_exportable(model)
    model = logits_model(model)
    with full_float32():
        expected = keras_logits(model, images)
    with tempfile.TemporaryDirectory() as folder:
        # under their own names, for those are what errors tell
        made = Path(folder) / f"{name}.tflite", Path(folder) / f"{name}_int8.tflite"
        if saved_model is None:
            saved_model = Path(folder) / "saved_model"
            write_saved_model(model, saved_model)
        convert = partial(_convert, model.name, saved_model)
        convert(made[0])
        found = check_logits(made[0], _logits(made[0], images), expected, tolerance)
        whole = _published(made[0], directory, *found)
        convert(made[1], **_whole_numbers(calibration_images, integer_ends))
        told = f"{model.name}.keras", expected, least_agreement
        found = check_agreement(made[1], _logits(made[1], images), *told)
        return whole, _published(made[1], directory, *found)


def _logits(path: Path, images: np.ndarray) -> np.ndarray:
    return LiteRTClassifier(path).logits(images)


def _convert(name: str, saved_model: Path, path: Path, **settings: Any) -> None:
    """Write `path`, as Keras' own `export(format="litert")` makes it of a SavedModel.

    Args:
        name: of the model, for error messages.
        saved_model: its folder.
        path: the file to write.
        settings: attributes of the converter.
    """
    import tensorflow as tf

    try:
        with quiet_libraries(), without_wildcards(saved_model) as plain:
            converter = tf.lite.TFLiteConverter.from_saved_model(str(plain))
            # operators of LiteRT only: an interpreter need not bring TensorFlow's
            kind = "TFLITE_BUILTINS_INT8" if settings else "TFLITE_BUILTINS"
            converter.target_spec.supported_ops = [getattr(tf.lite.OpsSet, kind)]
            for key, value in settings.items():
                setattr(converter, key, value)
            path.write_bytes(converter.convert())
    except Exception as error:  # a converter's errors have no common class
        raise UserError(
            f"Model {name!r} cannot be exported to LiteRT: {one_line(error)}; leave these files "
            "out (export.litert=false), or make it of layers that LiteRT has operators for."
        ) from error


def _whole_numbers(images: np.ndarray, integer_ends: bool) -> dict[str, Any]:
    """Return the converter's settings for whole numbers throughout."""
    import tensorflow as tf

    ends = {"inference_input_type": tf.int8, "inference_output_type": tf.int8}
    return {
        "optimizations": [tf.lite.Optimize.DEFAULT],
        "representative_dataset": lambda: _one_by_one(images),
        **(ends if integer_ends else {}),
    }


def _one_by_one(images: np.ndarray) -> Iterator[list[np.ndarray]]:
    """Yield images, (1, h, w, c), of which the first has a pixel of 0 and one of 1: then the
    input's range is [0, 1] in 255 steps, so that an 8-bit image loses nothing."""
    first = np.array(images[:1], np.float32)
    first.reshape(-1)[[0, -1]] = 0, 1
    yield [first]
    for k in range(1, len(images)):
        yield [np.asarray(images[k : k + 1], np.float32)]


def _published(
    made: Path, directory: str | Path, difference: float, agreement: float
) -> LiteRTModel:
    """Give a file that has passed its name, and say what is in it."""
    path = atomic_write(Path(directory) / made.name, made.read_bytes())
    file = read_litert(path)
    kinds = collections.Counter(operator.name for operator in file.operators)
    size, memory = path.stat().st_size, activation_bytes(file)
    return LiteRTModel(path, size, sha256(path), difference, agreement, dict(kinds), memory)


def litert_in_words(model: LiteRTModel) -> str:
    """Return which operators a file has, and what memory it takes, in a line."""
    kinds = ", ".join(f"{count} {name}" for name, count in sorted(model.operators.items()))
    missing = missing_on_microcontrollers(model.operators)
    told = (
        f"microcontrollers have no {', '.join(missing)}" if missing else "all on microcontrollers"
    )
    return (
        f"operators {kinds} ({told}); activations take some {model.activation_bytes:,} bytes, the "
        "most that tensors alive at once take in the order of execution"
    )
