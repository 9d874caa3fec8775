"""What a model is made of, as its layers show it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import keras

REARRANGING = ("Permute", "Reshape", "Flatten", "Transpose", "Moveaxis", "Swapaxes")
"""Names of the operations behind which the axes of images are others."""


def operations(model: keras.Model) -> Iterator[Any]:
    """Yield a model's layers and operations in order, also those of models within it."""
    for operation in getattr(model, "operations", None) or model.layers:
        if isinstance(operation, keras.Model):
            yield from operations(operation)
        else:
            yield operation


def calls(model: keras.Model) -> list[Any]:
    """Return the calls of layers and operations in a model's own graph; those of a model that has
    none are none. A layer can be called in other models, too, which is no call of this one."""
    graph = getattr(model, "_functional", None) or model  # what a Sequential is made of
    return [node for nodes in getattr(graph, "_nodes_by_depth", {}).values() for node in nodes]


def called_in_training(model: keras.Model) -> list[str]:
    """Return the names of the layers that are called with ``training=True``, whatever the model
    is, and compute something else then."""
    called = calls(model)
    names = [
        x.operation.name
        for x in called
        if x.arguments.kwargs.get("training") is True and _differs_in_training(x.operation)
    ]
    inner = [x.operation for x in called if isinstance(x.operation, keras.Model)]
    return names + [name for model in inner for name in called_in_training(model)]


def _differs_in_training(layer: Any) -> bool:
    """Return whether a layer draws at random or normalises by the batch, or is not Keras' own, of
    which it is not known. Keras' own preprocessing is called so by default."""
    parts = [layer, *getattr(layer, "_layers", ())]
    return (
        not type(layer).__module__.startswith("keras.")
        or isinstance(layer, keras.Model)
        or any(isinstance(x, keras.layers.BatchNormalization) for x in parts)
        or any(isinstance(v, keras.random.SeedGenerator) for x in parts for v in vars(x).values())
    )


def stateful(model: keras.Model) -> list[str]:
    """Return the names of the layers that go on from what they were asked before."""
    return [x.name for x in operations(model) if getattr(x, "stateful", False) is True]
