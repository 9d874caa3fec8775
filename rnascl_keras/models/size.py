"""How large a Keras model is: its parameters, and its multiply-adds for one image."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import keras

if TYPE_CHECKING:
    import tensorflow as tf


def model_parameters(model: keras.Model) -> int:
    """Return the trainable parameters, batch normalisation's scale and offset among them."""
    return sum(math.prod(variable.shape) for variable in model.trainable_variables)


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
    total, uncounted = 0, []
    for operation in _operations(graph):
        if operation.type in _COUNTED:
            total += _COUNTED[operation.type](operation)
        elif operation.type in _UNKNOWN:
            uncounted.append(f"{operation.name} ({operation.type})")
    return MultiplyAdds(total, tuple(uncounted))


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
    "Einsum": _einsum,
}
_UNKNOWN = frozenset(
    {"While", "StatelessWhile", "If", "StatelessIf", "Case", "PyFunc", "EagerPyFunc"}
    | {"XlaCallModule", "CudnnRNNV3"}
    | {"FFT2D", "RFFT2D", "SparseTensorDenseMatMul"}
)
