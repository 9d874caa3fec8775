"""Weights that a file keeps as integers, as the floats that they stand for.

A runtime that meets them as constants lays a convolution out for them once, not at every call.
"""

from __future__ import annotations

import numpy as np
import onnx
from onnx import numpy_helper
from onnx.reference import ReferenceEvaluator

from rnascl_keras.export.gradient.known import KnownTensors
from rnascl_keras.export.gradient.registry import STANDARD


def with_float_weights(graph: onnx.GraphProto) -> None:
    """Put constants in the place of each DequantizeLinear of constants."""
    known, kept = KnownTensors(graph), []
    for node in graph.node:
        value = _as_floats(node, known)
        if value is None:
            kept.append(node)
        else:
            graph.initializer.append(numpy_helper.from_array(value, node.output[0]))
    if len(kept) < len(graph.node):
        del graph.node[:]
        graph.node.extend(kept)


def _as_floats(node: onnx.NodeProto, known: KnownTensors) -> np.ndarray | None:
    """Return what a DequantizeLinear of constants gives; None of any other node, and of one that
    ONNX's evaluator cannot compute: the runtime, which took it, does."""
    if node.op_type != "DequantizeLinear" or node.domain not in STANDARD:
        return None
    given = {name: known.value(name) for name in node.input if name}
    if not given or any(value is None for value in given.values()):
        return None
    try:
        (value,) = ReferenceEvaluator(node).run(None, given)
    except Exception:  # its errors have no common class
        return None
    return np.asarray(value)
