"""Opening a deployed file, of whichever kind it is."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from rnascl_keras.errors import UserError
from rnascl_keras.export.litert.litert_classifier import LiteRTClassifier
from rnascl_keras.export.onnx_classifier import OnnxClassifier

LITERT = ".tflite"


def open_classifier(path: str | Path, **settings: Any) -> OnnxClassifier | LiteRTClassifier:
    """Return the classifier in a file: of LiteRT where its name ends in `.tflite`, else of ONNX.

    Args:
        path: the file.
        settings: of the class.

    Raises:
        UserError: the class refuses the file, or a setting is not for files of its kind.
    """
    if Path(path).suffix.lower() != LITERT:
        return OnnxClassifier(path, **settings)
    if "providers" in settings:
        raise UserError(
            f"{path}: providers are onnxruntime's, and LiteRT runs this file on the CPU; leave out "
            "--providers."
        )
    return LiteRTClassifier(path, **settings)


def runtime_of(path: str | Path) -> str:
    """Return the name of what runs a file."""
    return "LiteRT" if Path(path).suffix.lower() == LITERT else "onnxruntime"
