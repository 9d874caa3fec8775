"""Where attention maps are taken: after each convolution of any Keras image classifier.

A tap lies after a convolution's own following batch normalisation, activation and mask where it
has them, before any addition (so pre-activation networks are defined too). Convolutions that are a
shortcut are not counted. Nested models are looked into. Taps are (batch, height, width, channels)
also where the network's own layers are channels_first.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import keras
from keras import layers

from rnascl_keras.errors import UserError, nearest
from rnascl_keras.method.block_names import block_of, is_whole_block
from rnascl_keras.method.channel_choice import ChannelMask
from rnascl_keras.method.opened_graph import OpenedGraph
from rnascl_keras.models.ending import is_functional

Tensor = Any

CONVOLUTIONS = (layers.Conv2D, layers.DepthwiseConv2D, layers.SeparableConv2D)
ACTIVATIONS = ("Activation", "ReLU", "LeakyReLU", "PReLU", "ELU", "Relu", "Relu6", "Silu", "Gelu")
IMAGE_AXES = 4


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


def tap(
    model: keras.Model, taps: str | Sequence[str] = "conv", *, also: Iterable[str] = ()
) -> Tapped:
    """Return the model with its taps as further outputs.

    A layer that is called twice has two taps, ``conv`` and ``conv#2``; layers of the same name in
    several nested models are told apart by these, as in ``stage1/conv``.

    Args:
        model: a functional or Sequential image classifier with one input and one output.
        taps: `"conv"`: every convolution whose map is larger than 1 x 1, since all maps of one
            value are the same; how many that leaves out is said once on standard error.
            `"block"`: the last convolution of each block, blocks told apart by the names of
            layers such as `stage1_block2_conv1` (ours and keras.applications'), or what joins its
            branches in Inception networks and NASNet. Or the names of layers.
        also: names of layers whose outputs are wanted as they are.

    Raises:
        UserError: the model is not such a model, or has no such layers.
    """
    if not is_functional(model):
        raise UserError(
            f"model {model.name!r} cannot be tapped: expected a built functional or Sequential "
            "keras.Model with one input and one output; rewrite a subclassed model as one of them."
        )
    graph = OpenedGraph()
    logits = graph.open(model)
    names = graph.names()
    places = {name: k for k, name in enumerate(names)}
    if taps == "conv":
        chosen = _with_maps(graph, _convolutions(graph), model)
    elif taps == "block":
        chosen = _blocks(graph)
    else:
        chosen = _named(taps, places, model)
    if not chosen:
        what = "blocks" if taps == "block" else "convolutions with maps larger than 1 x 1"
        raise UserError(
            f"model {model.name!r} has no {what} to tap; give the names of its layers as taps."
        )
    tapped = [_tapped(graph, k) for k in chosen]
    extra = [graph.results[places[name]] for name in also]
    found = keras.Model(graph.input, [logits, *tapped, *extra])
    return Tapped(found, [names[k] for k in chosen], model)


def _named(taps: str | Sequence[str], places: dict[str, int], model: keras.Model) -> list[int]:
    names = [taps] if isinstance(taps, str) else list(taps)
    for name in names:
        if name not in places:
            raise UserError(
                f"model {model.name!r} has no layer {name!r} to tap; taps are 'conv', 'block' or "
                "names of layers." + nearest(name, places)
            )
    return [places[name] for name in names]


def _convolutions(graph: OpenedGraph) -> list[int]:
    shortcuts = _shortcuts(graph)
    calls = range(len(graph.operations))
    return graph.in_turn([k for k in calls if _is_convolution(graph, k) and k not in shortcuts])


def _with_maps(graph: OpenedGraph, calls: list[int], model: keras.Model) -> list[int]:
    """Return the calls whose maps are larger than 1 x 1; say how many are not."""
    found = [k for k in calls if not _is_one_pixel(graph, k)]
    if left_out := len(calls) - len(found):
        _say_once(
            f"{model.name}: {left_out} of {len(calls)} convolutions are left out of the taps, "
            "since attention maps of 1 x 1 are all the same."
        )
    return found


@cache
def _say_once(remark: str) -> None:
    print(remark, file=sys.stderr)


def _blocks(graph: OpenedGraph) -> list[int]:
    """Return the last convolution of each block, of those with maps if there are such."""
    last: dict[tuple, int] = {}
    convolutions = set(_convolutions(graph))
    for k, operation in enumerate(graph.operations):
        block = block_of(operation.name) if k in convolutions else None
        if block is not None:
            key = (*graph.paths[k], block)
            if key not in last or not _is_one_pixel(graph, k) or _is_one_pixel(graph, last[key]):
                last[key] = k
        elif is_whole_block(operation.name) and len(graph.results[k].shape) == IMAGE_AXES:
            last[(*graph.paths[k], operation.name)] = k
    return list(last.values())


def _is_one_pixel(graph: OpenedGraph, k: int) -> bool:
    result = graph.results[k]
    size = result.shape[2:] if graph.is_channels_first(result) else result.shape[1:3]
    return tuple(size) == (1, 1)


def _tapped(graph: OpenedGraph, k: int) -> Tensor:
    """Return what the tap of a call gives: (batch, h, w, c), whatever its own layout."""
    result = _after_own_layers(graph, k)
    if len(result.shape) == IMAGE_AXES and graph.is_channels_first(result):
        # a name of its own: Keras counts its names anew in every process
        return layers.Permute((2, 3, 1), name=f"channels_last_{id(graph)}_{k}")(result)
    return result


def _after_own_layers(graph: OpenedGraph, k: int) -> Tensor:
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


def _shortcuts(graph: OpenedGraph) -> set[int]:
    """Return 1x1 convolutions that alone make up a branch of an addition beside a longer one."""
    found = set()
    for k, op in enumerate(graph.operations):
        if type(op).__name__ != "Add" or len(graph.operands[k]) != 2:
            continue
        left, right = (set(graph.ancestors(x)) for x in graph.operands[k])
        for own, other in ((left - right, right - left), (right - left, left - right)):
            own, other = ([j for j in js if _is_convolution(graph, j)] for js in (own, other))
            if len(own) == 1 < len(other) and graph.operations[own[0]].kernel_size == (1, 1):
                found.add(own[0])
    return found


def _is_convolution(graph: OpenedGraph, k: int) -> bool:
    return isinstance(graph.operations[k], CONVOLUTIONS)
