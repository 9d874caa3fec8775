"""Computing beforehand the shapes, axes and pads that exporters leave to be computed."""

from __future__ import annotations

import numpy as np
import onnx
from onnx import TensorProto, numpy_helper

from rnascl_keras.export.gradient.known import KnownTensors


def fold_integers(graph: onnx.GraphProto) -> bool:
    """Replace, where nodes read them, integers that follow from constants by initializers.

    Shape inference looks no further than these. Returns whether there were any.

    Args:
        graph: with inferred shapes.
    """
    known = KnownTensors(graph)
    folded: dict[str, str] = {}
    for node in graph.node:
        if node.op_type == "Constant":
            continue
        for position, name in enumerate(node.input):
            if name not in folded:
                value = _foldable_value(known, name)
                if value is None:
                    continue
                folded[name] = f"{name}/folded"
                graph.initializer.append(numpy_helper.from_array(value, folded[name]))
            node.input[position] = folded[name]
    return bool(folded)


def _foldable_value(known: KnownTensors, name: str) -> np.ndarray | None:
    producer = known.producers.get(name)
    if producer is None or producer.op_type == "Constant":
        return None
    return known.value(name) if known.dtype(name) == TensorProto.INT64 else None
