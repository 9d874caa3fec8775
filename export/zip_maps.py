"""Probabilities that a file gives as dictionaries, as the tensor that these are made of."""

from __future__ import annotations

import onnx
from onnx import TensorProto, helper

from rnascl_keras.export.gradient.classical import DOMAIN


def without_zip_maps(graph: onnx.GraphProto) -> None:
    """Let outputs that are made by ZipMap be what goes into it; in place.

    scikit-learn's converter adds one unless it is told `zipmap=False`. It gives each image a
    dictionary from labels to floats, in the order of the classes.
    """
    made = {node.output[0]: node for node in graph.node if _is_zip_map(node)}
    for value in graph.output:
        if value.name in made:
            node = made[value.name]
            labels = [helper.get_attribute_value(a) for a in node.attribute]
            node.CopyFrom(helper.make_node("Identity", node.input, [value.name], node.name))
            shape = [None, *map(len, labels)]  # of one kind, integers or texts
            value.CopyFrom(helper.make_tensor_value_info(value.name, TensorProto.FLOAT, shape))


def _is_zip_map(node: onnx.NodeProto) -> bool:
    ends = len(node.input), len(node.output)
    return (node.domain, node.op_type) == (DOMAIN, "ZipMap") and ends == (1, 1)
