"""Where attention maps are taken: after each convolution of any Keras image classifier.

A tap lies after a convolution's own following batch normalisation, activation and mask where it
has them, before any addition (so pre-activation networks are defined too). Convolutions that are a
shortcut are not counted. Nested models are looked into.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import keras
from keras import layers

from rnascl_keras.errors import UserError, nearest
from rnascl_keras.method.channel_choice import ChannelMask

Tensor = Any

CONVOLUTIONS = (layers.Conv2D, layers.DepthwiseConv2D, layers.SeparableConv2D)
ACTIVATIONS = ("Activation", "ReLU", "LeakyReLU", "PReLU", "ELU", "Relu", "Relu6", "Silu", "Gelu")
BLOCK = re.compile(r"(.*block_?\d+)(?:_|$)")


@dataclass(frozen=True)
class Tapped:
    """A model that gives its logits and the activations at its taps, on shared weights.

    Attributes:
        model: images -> [logits, activation at each tap, output of each layer in `also`].
        names: of the tapped layers, in the order of computation.
        source: the model as it was given.
    """

    model: keras.Model
    names: list[str]
    source: keras.Model

    def __call__(self, images: Tensor, training: bool = False) -> tuple[Tensor, list, list]:
        """Return logits (batch, classes), activations at the taps, and the outputs of `also`."""
        logits, *rest = self.model(images, training=training)
        return logits, rest[: len(self.names)], rest[len(self.names) :]


@dataclass
class _Graph:
    """The operations of a model in order, with nested models opened."""

    operations: list[Any] = field(default_factory=list)
    operands: list[list[Tensor]] = field(default_factory=list)
    results: list[Tensor] = field(default_factory=list)

    def record(self, operation: Any, *args: Any, **kwargs: Any) -> Any:
        if isinstance(operation, keras.Model):
            return self.open(operation, args[0])
        result = operation(*args, **kwargs)
        self.operations.append(operation)
        self.operands.append([t for t in _leaves((args, kwargs)) if _is_tensor(t)])
        self.results.append(result)
        return result

    def open(self, model: keras.Model, inputs: Tensor = None) -> Tensor:
        """Call the model operation by operation; return its output.

        The output is caught at an identity behind it: where the model is nested, Keras would give
        one of a copied graph that the outer model's input does not reach.
        """
        end = layers.Identity()
        outputs = []

        def call(operation: Any, *args: Any, **kwargs: Any) -> Any:
            if operation is not end:
                return self.record(operation, *args, **kwargs)
            outputs.append(args[0])
            return args[0]

        copy = keras.models.clone_model(
            keras.Model(model.inputs[0], end(model.outputs[0])),
            input_tensors=inputs,
            clone_function=lambda x: x,
            call_function=call,
        )
        if inputs is None:
            self.input = copy.inputs[0]
        return outputs[0]

    def consumers(self, tensor: Tensor) -> list[int]:
        return [k for k, xs in enumerate(self.operands) if any(x is tensor for x in xs)]

    def ancestors(self, tensor: Tensor) -> set[int]:
        found: set[int] = set()
        waiting = [tensor]
        while waiting:
            tensor = waiting.pop()
            for k, result in enumerate(self.results):
                if result is tensor and k not in found:
                    found.add(k)
                    waiting += self.operands[k]
        return found


def tap(
    model: keras.Model, taps: str | Sequence[str] = "conv", *, also: Iterable[str] = ()
) -> Tapped:
    """Return the model with its taps as further outputs.

    Args:
        model: a functional or Sequential image classifier with one input and one output.
        taps: `"conv"`: every convolution; `"block"`: the last convolution of each block, blocks
            told apart by layer names such as `stage1_block2_conv1` (ours and keras.applications');
            or the names of layers.
        also: names of layers whose outputs are wanted as they are.

    Raises:
        UserError: the model is not such a model, or has no such layers.
    """
    if len(getattr(model, "inputs", None) or ()) != 1 or len(model.outputs) != 1:
        raise UserError(
            f"model {model.name!r} cannot be tapped: expected a built functional or Sequential "
            "keras.Model with one input and one output; rewrite a subclassed model as one of them."
        )
    graph = _Graph()
    logits = graph.open(model)
    places = {op.name: k for k, op in enumerate(graph.operations)}
    if taps in ("conv", "block"):
        names = _convolution_names(graph)
        if taps == "block":
            names = _last_of_each_block(names)
    else:
        names = _check_names(taps, places, model)
    if not names:
        raise UserError(
            f"model {model.name!r} has no {'blocks' if taps == 'block' else 'convolutions'} to "
            "tap; give the names of its layers as taps."
        )
    tapped = [_after_own_layers(graph, places[name]) for name in names]
    extra = [graph.results[places[name]] for name in also]
    return Tapped(keras.Model(graph.input, [logits, *tapped, *extra]), names, model)


def _check_names(taps: Sequence[str], places: dict[str, int], model: keras.Model) -> list[str]:
    names = [taps] if isinstance(taps, str) else list(taps)
    for name in names:
        if name not in places:
            raise UserError(
                f"model {model.name!r} has no layer {name!r} to tap; taps are 'conv', 'block' or "
                "names of layers." + nearest(name, places)
            )
    return names


def _convolution_names(graph: _Graph) -> list[str]:
    shortcuts = _shortcuts(graph)
    return [
        op.name
        for k, op in enumerate(graph.operations)
        if isinstance(op, CONVOLUTIONS) and k not in shortcuts
    ]


def _last_of_each_block(names: list[str]) -> list[str]:
    matches = [(BLOCK.match(name), name) for name in names]
    return list({match[1]: name for match, name in matches if match}.values())


def _after_own_layers(graph: _Graph, k: int) -> Tensor:
    """Follow operation k, if it is a convolution, through its own normalisation, activation and
    mask, each at most once."""
    stages = [
        lambda op: isinstance(op, layers.BatchNormalization),
        lambda op: type(op).__name__ in ACTIVATIONS,
        lambda op: isinstance(op, ChannelMask),
    ]
    result = graph.results[k]
    for belongs in stages if _is_convolution(graph, k) else ():
        following = graph.consumers(result)
        if len(following) == 1 and belongs(graph.operations[following[0]]):
            result = graph.results[following[0]]
    return result


def _shortcuts(graph: _Graph) -> set[int]:
    """Return 1x1 convolutions that alone make up a branch of an addition beside a longer one."""
    found = set()
    for k, op in enumerate(graph.operations):
        if type(op).__name__ != "Add" or len(graph.operands[k]) != 2:
            continue
        left, right = (graph.ancestors(x) for x in graph.operands[k])
        for own, other in ((left - right, right - left), (right - left, left - right)):
            own, other = ([j for j in js if _is_convolution(graph, j)] for js in (own, other))
            if len(own) == 1 < len(other) and graph.operations[own[0]].kernel_size == (1, 1):
                found.add(own[0])
    return found


def _is_convolution(graph: _Graph, k: int) -> bool:
    return isinstance(graph.operations[k], CONVOLUTIONS)


def _is_tensor(x: Any) -> bool:
    return isinstance(x, keras.KerasTensor)


def _leaves(structure: Any) -> list[Any]:
    return keras.tree.flatten(structure)
