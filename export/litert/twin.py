"""The ONNX graph that computes what a LiteRT file computes, and that gradients are taken of.

tf2onnx writes it. Integers become QuantizeLinear and DequantizeLinear around float operators, so
that the straight-through rules of `export/gradient/quantisation.py` apply.
"""

from __future__ import annotations

import logging
import tempfile
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper
from onnx.version_converter import convert_version

from rnascl_keras.errors import UserError, one_line
from rnascl_keras.export.compact import compact
from rnascl_keras.export.gradient.known import KnownTensors
from rnascl_keras.export.litert.image_numbers import ImageNumbers
from rnascl_keras.export.litert.quiet import quiet_libraries
from rnascl_keras.export.litert.reading import Tensor
from rnascl_keras.export.litert.tensor_names import with_distinct_names
from rnascl_keras.export.twin.fused import fast_gelu, gelu
from rnascl_keras.export.twin.rewriting import Rewriting
from rnascl_keras.export.untrusted import checked

OPSET = 18
INT16_OPSET = 21
"""The first in which 16 bits can be quantised; tf2onnx writes the one above at most."""
_PREFIX = "litert_twin"


def onnx_twin(content: bytes, numbers: ImageNumbers, logits: Tensor) -> onnx.ModelProto:
    """Return the graph from what `numbers` wants to the logits as floats.

    Args:
        content: of a file, with the logits as its first output.
        numbers: what its input takes: the graph takes it too, bytes as uint8.
        logits: the output's tensor.

    Raises:
        UserError: tf2onnx is not installed, or has no ONNX operators for the file.
    """
    model = _converted(content)
    graph = model.graph
    del graph.output[1:]
    if numbers.takes_bytes and numbers.lowest:  # byte -> float -> byte - 128
        steps = [("DequantizeLinear", 1.0, np.uint8(0)), ("QuantizeLinear", 1.0, np.int8(-128))]
        _take(graph, TensorProto.UINT8, steps)
    elif numbers.is_quantised:
        zero = np.array(numbers.tensor.zero, numbers.tensor.dtype)
        _take(graph, TensorProto.FLOAT, [("QuantizeLinear", numbers.tensor.scale or 1.0, zero)])
    if logits.scale is not None:
        _give_floats(graph, logits.scale, np.array(logits.zero, logits.dtype))
    for value in (graph.input[0], graph.output[0]):
        batch = value.type.tensor_type.shape.dim[0]
        if not batch.dim_value:
            batch.dim_param = "batch"
    if any(tensor.data_type == TensorProto.INT16 for tensor in graph.initializer):
        _compute_wide_biases(graph)
        model = convert_version(model, INT16_OPSET)
    compact(model)
    return checked(model, Path())


def _converted(content: bytes) -> onnx.ModelProto:
    try:
        import tf2onnx
    except ImportError as error:
        raise UserError(
            "the gradient of a .tflite file needs tensorflow and tf2onnx; type `pip install "
            "'rnascl-keras[train]'`, or attack it by score: --attacks square."
        ) from error
    logging.getLogger("tf2onnx").setLevel(logging.CRITICAL)
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings(), quiet_libraries():
        warnings.simplefilter("ignore")  # of the interpreter that it asks for shapes
        path = Path(folder) / "classifier.tflite"
        try:
            path.write_bytes(with_distinct_names(content))
            model, _ = tf2onnx.convert.from_tflite(str(path), opset=OPSET)
        except Exception as error:  # a converter's errors have no common class
            raise UserError(
                f"it has no ONNX graph to take gradients of: {one_line(error)}; attack it by "
                "score: --attacks square."
            ) from error
    _write_out_gelu(model.graph)
    unknown = sorted({node.op_type for node in model.graph.node if _is_litert(node)})
    if unknown:
        raise UserError(
            f"it has operators without an ONNX form to take gradients of: "
            f"{', '.join(name.removeprefix('TFL_') for name in unknown)}; attack it by score: "
            "--attacks square."
        )
    return model


def _write_out_gelu(graph: onnx.GraphProto) -> None:
    """Put standard operators in the place of GELU, in both its forms; tf2onnx leaves it."""
    rewriting, nodes = Rewriting(KnownTensors(graph), f"{_PREFIX}/gelu"), []
    for node in graph.node:
        if node.op_type == "TFL_GELU":
            approximate = any(a.name == "approximate" and a.i for a in node.attribute)
            nodes += (fast_gelu if approximate else gelu)(node, rewriting)
        else:
            nodes.append(node)
    rewriting.put(graph, nodes)


def _is_litert(node: onnx.NodeProto) -> bool:
    """Whether a node was left as it stands in the LiteRT file."""
    return node.op_type.startswith("TFL_")


def _take(graph: onnx.GraphProto, kind: int, steps: Sequence[tuple[str, float, Any]]) -> None:
    """Give the graph an input of another type, which it turns into integers itself.

    Args:
        graph: it.
        kind: the new type.
        steps: operators, each with a scale and a zero point.
    """
    image, nodes = graph.input[0], list(graph.node)
    names = [*(f"{_PREFIX}/images_{k}" for k in range(len(steps))), image.name]
    del graph.node[:]
    for k, (operator, scale, zero) in enumerate(steps):
        parts = [names[k], _constant(graph, np.float32(scale)), _constant(graph, zero)]
        graph.node.append(helper.make_node(operator, parts, [names[k + 1]]))
    graph.node.extend(nodes)
    image.name = names[0]
    image.type.tensor_type.elem_type = kind


def _give_floats(graph: onnx.GraphProto, scale: float, zero: np.ndarray) -> None:
    """Turn the integers of the output into what they stand for."""
    logits, name = graph.output[0], f"{_PREFIX}/logits"
    parts = [logits.name, _constant(graph, np.float32(scale)), _constant(graph, zero)]
    graph.node.append(helper.make_node("DequantizeLinear", parts, [name]))
    logits.name = name
    logits.type.tensor_type.elem_type = TensorProto.FLOAT


def _compute_wide_biases(graph: onnx.GraphProto) -> None:
    """Put floats in the place of biases of 64 bits, which activations of 16 bits come with, and
    ONNX has no DequantizeLinear for."""
    weights = {tensor.name: tensor for tensor in graph.initializer}
    kept = []
    for node in graph.node:
        parts = [weights[name] for name in node.input if name in weights]
        wide = bool(parts) and parts[0].data_type == TensorProto.INT64
        if node.op_type != "DequantizeLinear" or not wide:
            kept.append(node)
            continue
        # (channels,), each with a scale of its own; biases have no zero point
        whole, scale = (numpy_helper.to_array(part) for part in parts[:2])
        bias = (whole * scale.astype(np.float64)).astype(np.float32)
        graph.initializer.append(numpy_helper.from_array(bias, node.output[0]))
    del graph.node[:]
    graph.node.extend(kept)


def _constant(graph: onnx.GraphProto, value: Any) -> str:
    """Add a weight to the graph; return its name."""
    name = f"{_PREFIX}/{len(graph.initializer)}"
    graph.initializer.append(numpy_helper.from_array(np.asarray(value), name))
    return name
