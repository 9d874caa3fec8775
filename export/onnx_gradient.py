"""The input gradient of an ONNX classifier, as an ONNX model.

onnxruntime computes no gradients, so they are built as nodes: reverse mode over the file's own
graph, along the path from images to logits only. The result runs wherever the file does.

What the gradient is where there is none, or more than one: values that tie for a maximum share it,
but for MaxPool, where the first of them gets it; a comparison, a position or a shape has none;
a quantised tensor is taken straight-through (see `gradient.quantisation`).
"""

from __future__ import annotations

from collections.abc import Sequence

import onnx
from onnx import TensorProto, checker, helper

from rnascl_keras.errors import UserError, look_up
from rnascl_keras.export.gradient import rules  # noqa: F401  registers them
from rnascl_keras.export.gradient.graph import Graph, Tensor
from rnascl_keras.export.gradient.losses import LOSSES, Classes, LossNodes
from rnascl_keras.export.gradient.preparation import prepare
from rnascl_keras.export.gradient.reverse import back_propagate

# name -> what it is told besides the images
LOSS_NEEDS = {name: nodes.needs for name, nodes in LOSSES.items()}


def input_gradient_model(
    model: onnx.ModelProto, loss: str = "cross_entropy", *, input_shape: Sequence[int] | None = None
) -> onnx.ModelProto:
    """Return a model that gives logits, each image's loss, and that loss's gradient by the image.

    Its inputs are `images`, of the type and shape that `model` takes, and what the loss needs:
    `labels` and `targets`, int64 (batch,), or `slopes` (batch, classes). Its outputs are `logits`
    (batch, classes), `loss` (batch,) and `gradient`, in the images' shape. A softmax or sigmoids
    at the end of `model` are left out. Opset 18 to 21, IR version 8 to 10. A label out of range is
    an error of the runtime's.

    Args:
        model: an image classifier, float32 or float64; its first output counts. A quantised one
            (QDQ) is differentiated straight-through.
        loss: "cross_entropy"; "log_odds", whose gradient points the same way and does not vanish;
            "margin" (Carlini and Wagner); "dlr" (AutoAttack); the targeted "difference" and
            "targeted_dlr"; or "linear", the logits weighted by `slopes`, for any other loss.
        input_shape: sizes of the images without the batch's, where the model leaves them open.

    Raises:
        UserError: the loss is unknown, the model is no such classifier, or operators between images
            and logits have no gradient; all of these are named.
    """
    nodes = look_up("loss", loss, LOSSES)
    model = prepare(model, input_shape)
    images, logits = model.graph.input[0], model.graph.output[0]
    _check_classes(loss, nodes, logits)
    graph = Graph(model)
    target = graph.tensor(logits.name)
    told = {name: Tensor(graph, name, _type_of(name, target)) for name in nodes.needs}
    value, slopes = nodes.build(target, Classes(told))
    gradient = back_propagate(graph, images.name, target.name, slopes)
    # (batch, 1) -> (batch,)
    results = {"logits": target, "loss": value.reshape([-1]), "gradient": gradient}
    return _assembled(graph, images, logits, results, nodes.needs)


def _check_classes(loss: str, nodes: LossNodes, logits: onnx.ValueInfoProto) -> None:
    """Raise UserError where the model is known to have too few classes for the loss."""
    classes, least = logits.type.tensor_type.shape.dim[1].dim_value, nodes.least_classes
    if 0 < classes < least:
        raise UserError(f"{loss} needs {least} classes or more; the model has {classes}.")


def _type_of(name: str, logits: Tensor) -> int:
    return logits.dtype if name == "slopes" else TensorProto.INT64


def _assembled(
    graph: Graph,
    images: onnx.ValueInfoProto,
    logits: onnx.ValueInfoProto,
    results: dict[str, Tensor],
    needs: Sequence[str],
) -> onnx.ModelProto:
    """Join forward, loss and backward into one checked model, without what it does not use."""
    batch, *sizes = _shape(images)
    _, classes = _shape(logits)
    takes = {"images": (batch, *sizes), "slopes": (batch, classes)}
    gives = {"logits": (batch, classes), "loss": (batch,), "gradient": (batch, *sizes)}
    model = graph.model
    nodes = [helper.make_node("Identity", ["images"], [images.name]), *graph.forward_nodes()]
    nodes += graph.nodes
    nodes += [helper.make_node("Identity", [x.name], [name]) for name, x in results.items()]
    nodes, used = _used(nodes, set(gives))
    weights = [tensor for tensor in model.graph.initializer if tensor.name in used]
    types = {"images": images.type.tensor_type.elem_type}
    inputs = [
        helper.make_tensor_value_info(
            name, types.get(name, _type_of(name, results["logits"])), takes.get(name, (batch,))
        )
        for name in ("images", *needs)
    ]
    outputs = [
        helper.make_tensor_value_info(name, results[name].dtype, shape)
        for name, shape in gives.items()
    ]
    made = helper.make_model(
        helper.make_graph(
            nodes, "input_gradient", inputs, outputs, weights, value_info=_shapes(graph, nodes)
        ),
        opset_imports=model.opset_import,
        ir_version=model.ir_version,
        producer_name="rnascl-keras",
    )
    checker.check_model(made)
    return made


def _shapes(graph: Graph, nodes: Sequence[onnx.NodeProto]) -> list[onnx.ValueInfoProto]:
    """Return the shapes of what nodes make, also those named only, such as the batch's.

    onnxruntime works on several tensors at once in its fastest layout only where their shapes are
    known to be the same; it does not see by itself that a gradient's is its tensor's.
    """
    made = {name for node in nodes for name in node.output}
    own = [value for value in graph.model.graph.value_info if value.name in made]
    return own + [
        helper.make_tensor_value_info(x.name, x.dtype, x.shape)
        for x in graph.gradients.values()
        if x.name in made
    ]


def _shape(value: onnx.ValueInfoProto) -> list[int | str | None]:
    axes = value.type.tensor_type.shape.dim
    return [axis.dim_value or axis.dim_param or None for axis in axes]


def _used(
    nodes: Sequence[onnx.NodeProto], wanted: set[str]
) -> tuple[list[onnx.NodeProto], set[str]]:
    """Return the nodes that `wanted` tensors depend on, and all tensors that these read."""
    kept = []
    for node in reversed(nodes):
        if wanted.intersection(node.output):
            kept.append(node)
            wanted.update(node.input)
    return kept[::-1], wanted
