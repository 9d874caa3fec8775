"""What onnx's own converter changes in silence when it writes an old model in a newer opset."""

from __future__ import annotations

import onnx
from onnx import helper
from onnx.version_converter import convert_version

from rnascl_keras.export.gradient.definitions import SOFTMAX_OF_ONE_AXIS, opset_of
from rnascl_keras.export.gradient.known import KnownTensors
from rnascl_keras.export.gradient.registry import STANDARD
from rnascl_keras.export.gradient.subgraphs import all_nodes

# From the next on, a Resize says which pixel is where, and by default another than before.
_LAST_SILENT_RESIZE = 10
_LIKE_BEFORE = {"coordinate_transformation_mode": "asymmetric", "nearest_mode": "floor"}
_SOFTMAXES = {"LogSoftmax", "Softmax"}


def in_opset(model: onnx.ModelProto, opset: int) -> onnx.ModelProto:
    """Return `model` in another opset, computing the same; it may be changed itself.

    Raises:
        Exception: of onnx's, which have no common class: an operator cannot be converted.
    """
    _drop_unused_values(model.graph)
    if opset_of(model) <= _LAST_SILENT_RESIZE < opset and _resizes(model.graph):
        model = convert_version(model, _LAST_SILENT_RESIZE + 1)
        for node in _resizes(model.graph):
            given = {attribute.name for attribute in node.attribute}
            missing = {key: value for key, value in _LIKE_BEFORE.items() if key not in given}
            node.attribute.extend(helper.make_attribute(*item) for item in missing.items())
    return convert_version(model, opset)


def say_softmax_axes(model: onnx.ModelProto) -> None:
    """Write at each softmax which axis it is over, where the model's opset has another default or
    takes all axes from that on: as today's opset would say it, where one axis is enough.

    Args:
        model: with inferred shapes.
    """
    if opset_of(model) >= SOFTMAX_OF_ONE_AXIS:
        return
    known = KnownTensors(model.graph)
    for node in model.graph.node:
        if node.domain not in STANDARD or node.op_type not in _SOFTMAXES:
            continue
        first = next((a.i for a in node.attribute if a.name == "axis"), 1)
        shape = known.shape(node.output[0]) or known.shape(node.input[0]) or ()
        first += len(shape) if first < 0 else 0
        longer = [k for k, size in enumerate(shape) if k >= first and size != 1]
        del node.attribute[:]
        only = longer[0] if len(longer) == 1 else first
        node.attribute.append(helper.make_attribute("axis", only))


def _resizes(graph: onnx.GraphProto) -> list[onnx.NodeProto]:
    """Return the nodes that change the size of maps, those of branches and loops too."""
    return [
        node
        for node in all_nodes(graph.node)
        if node.domain in STANDARD and node.op_type in ("Resize", "Upsample")
    ]


def _drop_unused_values(graph: onnx.GraphProto) -> None:
    """Drop the value of a Pad that repeats the image's own: onnx's converter would leave it."""
    for node in all_nodes(graph.node):
        given = {a.name: a for a in node.attribute}
        repeats = node.op_type == "Pad" and "mode" in given and given["mode"].s != b"constant"
        if repeats and "value" in given:
            node.attribute.remove(given["value"])
