"""Files that outlive the training stack: ONNX and SavedModel, each checked against its model."""

from __future__ import annotations

from rnascl_keras.export.convert import ExportedModel, export_student
from rnascl_keras.export.latency import measure_latency
from rnascl_keras.export.onnx_classifier import OnnxClassifier
from rnascl_keras.export.parity import ExportError
from rnascl_keras.export.quantise import QuantisedModel, quantise

__all__ = [
    "ExportError",
    "ExportedModel",
    "OnnxClassifier",
    "QuantisedModel",
    "export_student",
    "measure_latency",
    "quantise",
]
