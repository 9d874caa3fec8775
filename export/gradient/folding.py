"""Computing beforehand the shapes, axes and pads that exporters leave to be computed."""

from __future__ import annotations

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
            if name not in folded and not _is_foldable(known, name):
                continue
            if name not in folded:
                folded[name] = f"{name}/folded"
                tensor = numpy_helper.from_array(known.value(name), folded[name])
                graph.initializer.append(tensor)
            node.input[position] = folded[name]
    return bool(folded)


def _is_foldable(known: KnownTensors, name: str) -> bool:
    producer = known.producers.get(name)
    if producer is None or producer.op_type == "Constant":
        return False
    return known.dtype(name) == TensorProto.INT64 and known.value(name) is not None
