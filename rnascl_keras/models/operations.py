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


def called_in_training(model: keras.Model) -> list[str]:
    """Return the names of the layers that are called with ``training=True``, whatever the model
    is."""
    graph = getattr(model, "_functional", None) or model  # what a Sequential is made of
    # the model's own: a layer can be called in others, too
    calls = [node for calls in getattr(graph, "_nodes_by_depth", {}).values() for node in calls]
    names = [x.operation.name for x in calls if x.arguments.kwargs.get("training") is True]
    inner = [x.operation for x in calls if isinstance(x.operation, keras.Model)]
    return names + [name for model in inner for name in called_in_training(model)]


def stateful(model: keras.Model) -> list[str]:
    """Return the names of the layers that go on from what they were asked before."""
    return [x.name for x in operations(model) if getattr(x, "stateful", False) is True]
