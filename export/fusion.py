"""Folding batch normalisation, and whatever else is constant, into the convolutions before it.

What a converter leaves behind a depthwise convolution is a product and a sum of constants: two more
passes over the activations at every inference, and two more tensors to round once quantised.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

import onnx

from rnascl_keras.errors import UserError, one_line


def fused(model: onnx.ModelProto) -> onnx.ModelProto:
    """Return `model` with constants computed and folded, by onnxruntime's basic optimisations.

    Those use ONNX's own operators only, so that any runtime reads the result. Names of inputs and
    outputs, opset, IR version and properties stay.

    Raises:
        UserError: onnxruntime cannot run the model.
    """
    import onnxruntime

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "fused.onnx"
        options = onnxruntime.SessionOptions()
        options.log_severity_level = 4  # fatal errors only; others are raised
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_BASIC
        options.optimized_model_filepath = str(path)
        try:
            onnxruntime.InferenceSession(
                model.SerializeToString(), options, providers=["CPUExecutionProvider"]
            )
        except Exception as error:  # onnxruntime's errors have no closer base class
            raise UserError(
                f"onnxruntime cannot run the exported graph: {one_line(error)}"
            ) from error
        optimised = onnx.load(path)
    drop_unused_opsets(optimised)
    return optimised


def drop_unused_opsets(model: onnx.ModelProto) -> None:
    """Take out the operator sets that no node is of: onnxruntime names all that it knows."""
    used = {node.domain for node in model.graph.node} | {""}
    kept = [opset for opset in model.opset_import if opset.domain in used]
    del model.opset_import[:]
    model.opset_import.extend(kept)
