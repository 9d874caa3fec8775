"""How a classifier ends: the softmax, sigmoid or tanh between its logits and its output.

What follows the logits is found by following the output back through operations that have no
weights, also out of nested models, and is known by what it does to numbers. So a layer, an
operation, an activation and a function of one's own are all the same, whatever leaves numbers as
they are may follow, and a logarithm after a softmax is a log-softmax.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
from keras import layers
from scipy.special import expit, log_expit, log_softmax, softmax

from rnascl_keras.errors import UserError

Tensor = Any

WITH_ACTIVATION = (layers.Dense, layers.EinsumDense, layers.Conv2D)
"""What ends in a function of its own."""
ENDINGS: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "softmax": lambda z: softmax(z, axis=-1),
    "log-softmax": lambda z: log_softmax(z, axis=-1),
    "sigmoid": expit,
    "log-sigmoid": log_expit,
    "tanh": np.tanh,
}
TOLERANCE = 0.01
"""Of a comparison in half precision; the functions compared differ by far more."""


@dataclass(frozen=True)
class Cut:
    """A place where a model can be cut off, and what follows it.

    Attributes:
        make: gives the tensor there, of the model's own graph.
        shape, dtype: of the tensor.
        tail: what follows, in order; each takes one tensor.
        source: the layer that makes the tensor, None where that is the model's input.
    """

    make: Callable[[], Tensor]
    shape: tuple[int | None, ...]
    dtype: str
    tail: tuple[Callable[[Tensor], Tensor], ...]
    source: Any

    def does(self, function: Callable[[np.ndarray], np.ndarray]) -> bool:
        """Return whether the tail computes `function` of each image's values, (batch, values)."""
        sizes = [size for size in self.shape[1:] if size is not None]
        if len(sizes) < len(self.shape) - 1 or not keras.backend.is_float_dtype(self.dtype):
            return False
        shape = (self.shape[0] or 3, *sizes)
        values = np.random.default_rng(0).normal(0, 2, shape).astype("float32")
        found = keras.ops.convert_to_tensor(values, dtype=self.dtype)
        for operation in self.tail:
            found = operation(found)
        found = np.asarray(keras.ops.convert_to_numpy(keras.ops.cast(found, "float32")))
        if found.size != values.size or len(found) != len(values):
            return False
        flat = values.reshape(len(values), -1)
        return np.allclose(found.reshape(flat.shape), function(flat), atol=TOLERANCE)

    def is_open(self) -> bool:
        """Return whether the tail leaves all numbers as they are."""
        return not self.tail or self.does(lambda values: values)

    @property
    def is_linear(self) -> bool:
        """Whether a layer makes the tensor whose output can be any number."""
        linear = getattr(self.source, "activation", None) is keras.activations.linear
        return linear and type(self.source) in WITH_ACTIVATION


def cuts(model: keras.Model) -> Iterator[Cut]:
    """Yield the places behind which a model has no weights, from its output backwards.

    Args:
        model: functional or Sequential, of one input and one output.
    """
    tensor, tail = model.outputs[0], ()
    while True:
        source, node = _origin(tensor)
        yield Cut(lambda t=tensor: t, tensor.shape, tensor.dtype, tail, source)
        if tensor is model.inputs[0] or node is None or len(node.input_tensors) != 1:
            return
        before = node.input_tensors[0]
        if is_functional(source):
            for inner in cuts(source):
                cut = _from_within(inner, source, node, tail)
                if inner.source is not None:
                    yield cut
            if inner.source is not None:
                return
            tail = cut.tail
        elif activation := _own_activation(source):
            yield _before_activation(source, before, (activation, *tail))
            return
        elif getattr(source, "weights", None):
            return
        else:
            tail = (_called_again(source, node), *tail)
        tensor = before


def is_functional(model: Any) -> bool:
    """Return whether `model` is a functional or Sequential model of one input and one output."""
    inputs, outputs = getattr(model, "inputs", None), getattr(model, "outputs", None)
    return (
        isinstance(model, keras.Model)
        and isinstance(inputs, list)
        and isinstance(outputs, list)
        and len(inputs) == len(outputs) == 1
    )


def _origin(tensor: Tensor) -> tuple[Any, Any]:
    """Return the operation that makes a tensor, and the call of it; None and None of an input."""
    operation, node_index, _ = tensor._keras_history
    if operation is None or isinstance(operation, layers.InputLayer):
        return None, None
    return operation, operation._inbound_nodes[node_index]


def _called_again(operation: Any, node: Any) -> Callable[[Tensor], Tensor]:
    """Return a call of an operation as one was, on another tensor."""
    place = id(node.input_tensors[0])

    def call(values: Tensor) -> Tensor:
        args, kwargs = node.arguments.fill_in({place: values})
        return operation(*args, **kwargs)

    return call


def _from_within(inner: Cut, model: keras.Model, node: Any, tail: tuple) -> Cut:
    """Return a cut of a nested model as one of the model around it, where `node` is its call."""

    def make() -> Tensor:
        cut_off = keras.Model(model.inputs[0], inner.make(), name=model.name)
        return _called_again(cut_off, node)(node.input_tensors[0])

    return Cut(make, inner.shape, inner.dtype, (*inner.tail, *tail), inner.source)


def _own_activation(layer: Any) -> Callable[[Tensor], Tensor] | None:
    activation = getattr(layer, "activation", None)
    known = type(layer) in WITH_ACTIVATION and activation is not keras.activations.linear
    return activation if known else None


def _before_activation(layer: Any, before: Tensor, tail: tuple) -> Cut:
    return Cut(
        lambda: _without_activation(layer, before.shape)(before),
        layer.compute_output_shape(before.shape),
        layer.compute_dtype,
        tail,
        layer,
    )


KEPT_BESIDE = ("lora_alpha", "is_gptq_calibrated", "is_awq_calibrated")
"""What a layer holds beside its configuration, and computes by."""


def _without_activation(layer: Any, shape: tuple[int | None, ...]) -> layers.Layer:
    """Return a layer of the same weights, not of copies, that stops before the activation.

    Args:
        layer: with an activation.
        shape: of what it takes.

    Raises:
        UserError: followed by that activation, it would be another function than the layer.
    """
    twin = type(layer).from_config({**layer.get_config(), "activation": "linear"})
    twin.build(*layer.get_build_config().values())
    twin._tracker.unlock()
    for name, own in list(vars(twin).items()):
        if isinstance(own, keras.Variable):
            twin._untrack_variable(own)
            setattr(twin, name, getattr(layer, name))
    for name in KEPT_BESIDE:
        if hasattr(layer, name):
            setattr(twin, name, getattr(layer, name))
    twin._tracker.lock()
    _check_same(twin, layer, shape)
    return twin


def _check_same(twin: Any, layer: Any, shape: tuple[int | None, ...]) -> None:
    sizes = [size for size in shape[1:] if size is not None]
    if len(sizes) < len(shape) - 1:
        return
    values = np.random.default_rng(0).normal(size=(2, *sizes)).astype("float32")
    given = keras.ops.convert_to_tensor(values, dtype=layer.compute_dtype)
    expected, found = (
        np.asarray(keras.ops.convert_to_numpy(keras.ops.cast(answer, "float32")))
        for answer in (layer(given), layer.activation(twin(given)))
    )
    if not np.allclose(found, expected, atol=TOLERANCE, equal_nan=True):
        raise UserError(
            f"layer {layer.name!r} computes otherwise than its configuration says, so its "
            f"{getattr(layer.activation, '__name__', 'activation')} cannot be left out; give the "
            "model without that, so that it gives logits."
        )
