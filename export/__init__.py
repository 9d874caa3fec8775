"""Files that outlive the training stack: ONNX, LiteRT, SavedModel, checked against their models."""

from __future__ import annotations

from rnascl_keras.export.convert import ExportedModel, export_student
from rnascl_keras.export.latency import measure_latency
from rnascl_keras.export.litert.litert_classifier import LiteRTClassifier
from rnascl_keras.export.litert.writing import LiteRTModel, export_litert
from rnascl_keras.export.onnx_classifier import OnnxClassifier
from rnascl_keras.export.parity import ExportError
from rnascl_keras.export.quantise import QuantisedModel, quantise

__all__ = [
    "ExportError",
    "ExportedModel",
    "LiteRTClassifier",
    "LiteRTModel",
    "OnnxClassifier",
    "QuantisedModel",
    "export_litert",
    "export_student",
    "measure_latency",
    "quantise",
]
