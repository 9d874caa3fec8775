"""Small ONNX classifiers, written as text."""

from __future__ import annotations

import numpy as np
import onnx
from onnx import numpy_helper

CONVOLUTIONS = """
  a = Conv<pads=[1, 1, 1, 1]>(n, w1)
  b = Tanh(a)
  c = Conv<strides=[2, 2]>(b, w2)
  d = Sigmoid(c)
  f = GlobalAveragePool(d)
  z = Flatten(f)
"""
"""From `n`, (batch, 3, h, w), to `z`, (batch, 5)."""
SHAPES = {"w1": (6, 3, 3, 3), "w2": (5, 6, 3, 3)}


def write_small_onnx(
    path,
    nodes,
    *,
    takes="float[N, 3, 8, 8] x",
    gives="float[N, 5] z",
    opset=18,
    imports=(),
    double=False,
    **arrays,
):
    """Write a model of these nodes; its weights are the arrays, and random ones of `SHAPES`.

    Args:
        imports: opsets beside the standard operators'.
        double: whether arrays in double precision stay so.
    """
    model = onnx.parser.parse_model(
        f'<ir_version: 8, opset_import: ["": {opset}]> g ({takes}) => ({gives}) {{ {nodes} }}'
    )
    model.opset_import.extend(imports)
    random = np.random.default_rng(0)
    weights = {name: random.normal(0, 0.7, shape) for name, shape in SHAPES.items()} | arrays
    for name, value in weights.items():
        if name in nodes:
            value = np.asarray(value)
            if value.dtype == np.float64 and not double:
                value = value.astype(np.float32)
            model.graph.initializer.append(numpy_helper.from_array(value, name))
    onnx.save(model, path)
    return path
