"""Operators that opset 21 does not have, by ONNX's own definitions in older ones."""

from __future__ import annotations

import onnx
from onnx import defs

from rnascl_keras.export.gradient.definitions import with_definitions
from rnascl_keras.export.gradient.registry import STANDARD


def without_newer(model: onnx.ModelProto, opset: int) -> onnx.ModelProto | None:
    """Return a copy with the definitions in place of operators that `opset` does not have yet; None
    where none of them has one.

    Args:
        model: with inferred shapes.
        opset: of the standard operators.
    """
    newer = {
        node.op_type
        for node in model.graph.node
        if node.domain in STANDARD
        and not defs.has(node.op_type, max_inclusive_version=opset, domain="")
    }
    return with_definitions(model, newer)
