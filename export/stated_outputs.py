"""What a file states of its outputs, which needs not be there, and needs not be true.

onnxruntime says nothing of an output without a shape, and only warns of a wrong one.
"""

from __future__ import annotations

import onnx
from onnx import checker

Shapes = dict[str, onnx.TensorShapeProto | None]


def check_model(model: onnx.ModelProto) -> None:
    """Check a model as onnx does, but for outputs without a shape, which can have any."""
    without = [t for t in _tensors(model.graph).values() if not t.HasField("shape")]
    for tensor in without:
        tensor.shape.SetInParent()
    checker.check_model(model)
    for tensor in without:
        tensor.ClearField("shape")


def take_shapes(graph: onnx.GraphProto) -> Shapes:
    """Take away what is stated of the outputs' shapes, and return it by name."""
    stated: Shapes = {}
    for name, tensor in _tensors(graph).items():
        stated[name] = None
        if tensor.HasField("shape"):
            shape = stated[name] = onnx.TensorShapeProto()
            shape.CopyFrom(tensor.shape)
        tensor.ClearField("shape")
    return stated


def give_shapes(graph: onnx.GraphProto, stated: Shapes, inferred: onnx.GraphProto) -> None:
    """Give the outputs the shapes that were stated, right where what follows from the graph is
    another number, or all that is known.

    Args:
        graph: after `take_shapes`, which gave `stated`.
        inferred: the same with inferred shapes.
    """
    following = _tensors(inferred)
    for name, tensor in _tensors(graph).items():
        own, true = stated[name], following[name]
        if own is None or (true.HasField("shape") and len(true.shape.dim) != len(own.dim)):
            own = true.shape if true.HasField("shape") else own
        else:
            for axis, right in zip(own.dim, true.shape.dim, strict=False):
                if right.dim_value > 0 and not axis.dim_param:
                    axis.dim_value = right.dim_value
        if own is not None:
            tensor.shape.CopyFrom(own)


def _tensors(graph: onnx.GraphProto) -> dict[str, onnx.TypeProto.Tensor]:
    values = [value for value in graph.output if value.type.HasField("tensor_type")]
    return {value.name: value.type.tensor_type for value in values}
