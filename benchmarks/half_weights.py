"""Weights stored in half precision: files of half the size, of networks that compute in float32.

A `.keras` file and an ONNX file of one model are rounded apart, the latter after its batch
normalisations have been folded into its convolutions: their logits then differ by some thousandths.
"""

from __future__ import annotations

import io
from typing import cast

import h5py
import numpy as np
import onnx
from onnx import TensorProto, numpy_helper


def halve_h5(content: bytes) -> bytes:
    """Return a weights file of Keras (HDF5) with its float32 arrays as float16.

    Keras reads each into a variable of the layer's own type.
    """
    made = io.BytesIO()
    with h5py.File(io.BytesIO(content)) as old, h5py.File(made, "w") as new:
        new.attrs.update(old.attrs)

        def copy(name: str, item: h5py.Group | h5py.Dataset) -> None:
            if isinstance(item, h5py.Group):
                new.require_group(name).attrs.update(item.attrs)
                return
            values = item[()]
            new.create_dataset(name, data=_half(values) if values.dtype == np.float32 else values)

        old.visititems(copy)
    return made.getvalue()


def halve_onnx(model: onnx.ModelProto) -> None:
    """Store the float32 weights of `model` as float16, each cast back before its use; in place.

    Runtimes compute such casts of constants once, when they load a file.
    """
    graph = model.graph
    casts = []
    for tensor in graph.initializer:
        values = numpy_helper.to_array(tensor)
        if values.dtype != np.float32 or not values.ndim:
            continue
        stored = f"{tensor.name}_half"
        casts.append(onnx.helper.make_node("Cast", [stored], [tensor.name], to=TensorProto.FLOAT))
        tensor.CopyFrom(numpy_helper.from_array(_half(values), stored))
    nodes = [*casts, *graph.node]
    del graph.node[:]
    graph.node.extend(nodes)
    onnx.checker.check_model(model, full_check=True)


def _half(values: np.ndarray) -> np.ndarray:
    """Round to float16, of which what is too large would be infinite."""
    with np.errstate(over="ignore"):
        rounded = values.astype(np.float16)
    if not np.isfinite(rounded).all():
        raise ValueError(f"a weight of {np.abs(values).max():g} does not fit into half precision")
    return cast(np.ndarray, rounded)
