"""Files that outlive the training stack: ONNX and SavedModel, each checked against its model."""

from __future__ import annotations

from rnascl_keras.export.convert import ExportedModel, export_student
from rnascl_keras.export.onnx_classifier import OnnxClassifier
from rnascl_keras.export.parity import ExportError

__all__ = ["ExportError", "ExportedModel", "OnnxClassifier", "export_student"]
