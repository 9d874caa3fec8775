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
        of_weights = node.op_type == "DequantizeLinear" and node.domain in STANDARD
        given = {name: known.value(name) for name in node.input if name} if of_weights else {}
        if not given or any(value is None for value in given.values()):
            kept.append(node)
            continue
        try:
            (value,) = ReferenceEvaluator(node).run(None, given)
        except Exception:  # of any class; the runtime, which took the node, computes it itself
            kept.append(node)
            continue
        graph.initializer.append(numpy_helper.from_array(np.asarray(value), node.output[0]))
    if len(kept) < len(graph.node):
        del graph.node[:]
        graph.node.extend(kept)
