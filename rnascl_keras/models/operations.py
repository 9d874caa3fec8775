"""What a model is made of, as its layers show it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import keras


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
    return [
        operation.name
        for operation in operations(model)
        if any(node.arguments.kwargs.get("training") is True for node in operation._inbound_nodes)
    ]


def stateful(model: keras.Model) -> list[str]:
    """Return the names of the layers that go on from what they were asked before."""
    return [x.name for x in operations(model) if getattr(x, "stateful", False) is True]
