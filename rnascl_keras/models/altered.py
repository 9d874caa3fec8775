"""Layers that compute by other weights than their kernels: quantised ones, and low-rank factors."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import keras
import tensorflow as tf

from rnascl_keras.errors import UserError

INT8 = 127
"""Largest of eight bits' values; so many leave an attack its way."""
SLOPES = 2.0**-5
"""Scale of the slopes that a float8 layer hands back: it keeps what lies between 1e-6 and 1e3."""


def quantisation(layer: Any) -> str | None:
    """Return how a layer is quantised, e.g. "int8" or "float8"; None where it is not."""
    return getattr(layer, "quantization_mode", None)


def altered_layers(model: keras.Model) -> Iterator[Any]:
    """Yield the layers that are quantised, or to whose kernel low-rank factors are added (LoRA)."""
    for layer in model._flatten_layers():
        if quantisation(layer) or getattr(layer, "lora_enabled", False):
            yield layer


def check_plain(
    model: keras.Model, name: str, purpose: str, *, factors_train: bool = False
) -> None:
    """Raise UserError where a model has such layers, whose kernels do not train and cannot be cut.

    Args:
        model: that is to be changed.
        name: what it was given as, e.g. "the student".
        purpose: what cannot be done, e.g. "pruned".
        factors_train: whether low-rank factors may be there: they can be trained.
    """
    for layer in altered_layers(model):
        mode = quantisation(layer)
        if factors_train and not mode:
            continue
        how = f"is quantised ({mode})" if mode else "adds low-rank factors to its kernel (LoRA)"
        raise UserError(
            f"{name} cannot be {purpose}: its layer {layer.name!r} {how}; give the model of float "
            "kernels, from before that."
        )


def coarse_layers(model: keras.Model) -> list[str]:
    """Return the names of the layers that round what they take to fewer than eight bits' values, or
    to float8, and are differentiated as if they did not."""
    return [layer.name for layer in altered_layers(model) if _is_coarse(layer)]


def _is_coarse(layer: Any) -> bool:
    quantizer = getattr(layer, "inputs_quantizer", None)
    _, largest = getattr(quantizer, "value_range", (-INT8, INT8))
    return quantisation(layer) == "float8" or largest < INT8


def whole_slopes(model: keras.Model) -> AbstractContextManager:
    """Return the context in which float8 layers cut off no slope of an attack's.

    They store by which scale the slopes of their own training fit eight bits, and clip others,
    far larger ones, also where nothing is trained.
    """
    scales = [v for v in model.weights if v.name == "outputs_grad_scale"]
    if not scales:
        return nullcontext()
    return keras.StatelessScope(state_mapping=[(v, tf.constant(SLOPES)) for v in scales])
