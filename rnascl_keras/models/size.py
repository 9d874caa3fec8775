"""How large a Keras model is: its parameters, and its multiply-adds for one image."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import keras

from rnascl_keras.models.altered import altered_layers

if TYPE_CHECKING:
    import tensorflow as tf


def model_parameters(model: keras.Model) -> int:
    """Return the trainable parameters, batch normalisation's scale and offset among them; of a
    layer that is quantised, or has low-rank factors, those of its kernel and bias."""
    altered = list(altered_layers(model))
    aside = {id(variable) for layer in altered for variable in layer.variables}
    own = [v for v in model.trainable_variables if id(v) not in aside]
    own += [v for x in altered for v in (x.kernel, getattr(x, "bias", None)) if v is not None]
    return sum(math.prod(variable.shape) for variable in own)


@dataclass(frozen=True)
class MultiplyAdds:
    """What a model multiplies for one image.

    Attributes:
        total: of all convolutions and matrix products, each as often as it is called.
        uncounted: operations whose number of products the graph does not say, such as loops.
    """

    total: int
    uncounted: tuple[str, ...] = ()


def model_macs(model: keras.Model) -> MultiplyAdds:
    """Return the multiply-adds of a model that takes one image (height, width, channels).

    They are read off the graph that TensorFlow makes of a call, so a layer that is called twice
    counts twice, one on a map counts once a position, and nested and subclassed models count by
    what they do. A size that the model leaves open is taken as 224, as ImageNet's.

    Args:
        model: of one input.
    """
    import tensorflow as tf

    shape = [224 if size is None else size for size in model.inputs[0].shape[1:]]
    spec = tf.TensorSpec((1, *shape), model.inputs[0].dtype)
    graph = tf.function(lambda x: model(x, training=False)).get_concrete_function(spec).graph
    total, uncounted, fixed = 0, [], set()
    for operation in _operations(graph):  # each after those that it takes
        if operation.type in _FIXED or (operation.inputs and fixed.issuperset(_makers(operation))):
            fixed.add(operation)  # of weights alone: done once, not for each image
            continue
        counted = _products(operation)
        total += counted or 0
        if counted is None:
            uncounted.append(f"{operation.name} ({operation.type})")
    return MultiplyAdds(total, tuple(uncounted))


def _products(operation: tf.Operation) -> int | None:
    """Return the products that an operation does for an image, None where they are not known."""
    count = _COUNTED.get(operation.type)
    if count is None:
        unknown = operation.type in _UNKNOWN or any(x in operation.type for x in _MULTIPLYING)
        return None if unknown else 0
    try:
        return count(operation)
    except TypeError:  # a size that is left open
        return None


def _makers(operation: tf.Operation) -> list[tf.Operation]:
    """Return the operations that make what an operation takes."""
    return [tensor.op for tensor in operation.inputs]


def _operations(graph: tf.Graph) -> Iterator[tf.Operation]:
    """Yield the operations of a graph and of its functions, as a grouped convolution is one."""
    for operation in graph.get_operations():
        if operation.type in ("PartitionedCall", "StatefulPartitionedCall"):
            # no public call leads from the name of a function to its graph
            yield from _operations(graph._functions[operation.get_attr("f").name].graph)
        else:
            yield operation


def _elements(shape: Any) -> int:
    """Return how many values there are; of one image no size is left open, though TensorFlow's type
    of a shape allows for it."""
    return math.prod(shape)


def _convolution(operation: tf.Operation) -> int:
    """Every output value sums over the window and the input channels of its group."""
    window = operation.inputs[1].shape[:-1]
    return _elements(operation.outputs[0].shape) * _elements(window)


def _depthwise(operation: tf.Operation) -> int:
    """Every output value sums over the window of one channel."""
    return _elements(operation.outputs[0].shape) * _elements(operation.inputs[1].shape[:2])


def _transposed(operation: tf.Operation) -> int:
    """Every value that comes in is spread over the window and the output channels."""
    return _elements(operation.inputs[2].shape) * _elements(operation.inputs[1].shape[:-1])


def _product(operation: tf.Operation) -> int:
    """Every output value sums over the axis that both sides share."""
    flipped = next(name for name in ("transpose_a", "adj_x") if name in operation.node_def.attr)
    left: Any = operation.inputs[0].shape
    shared = left[-2] if operation.get_attr(flipped) else left[-1]
    return _elements(operation.outputs[0].shape) * shared


def _einsum(operation: tf.Operation) -> int:
    """One product for each combination of all its indices."""
    left, _, _ = operation.get_attr("equation").decode().partition("->")
    sizes: dict[str, int] = {}
    for indices, tensor in zip(left.split(","), operation.inputs, strict=True):
        sizes |= dict(zip(indices, tensor.shape, strict=True))
    return math.prod(sizes.values()) if len(operation.inputs) > 1 else 0


_COUNTED: dict[str, Callable[[tf.Operation], int]] = {
    "Conv1D": _convolution,
    "Conv2D": _convolution,
    "Conv3D": _convolution,
    "DepthwiseConv2dNative": _depthwise,
    "Conv2DBackpropInput": _transposed,
    "Conv3DBackpropInputV2": _transposed,
    "MatMul": _product,
    "BatchMatMulV2": _product,
    "BatchMatMulV3": _product,
    "Einsum": _einsum,
}
_UNKNOWN = frozenset(
    {"While", "StatelessWhile", "If", "StatelessIf", "Case", "PyFunc", "EagerPyFunc"}
    | {"XlaCallModule", "CudnnRNNV3"}
    | {"FFT2D", "RFFT2D", "SparseTensorDenseMatMul"}
)
_FIXED = ("ReadVariableOp", "Const")
_MULTIPLYING = ("MatMul", "Conv", "Einsum")
"""Parts of the names of operations that multiply, also of those not counted yet."""
