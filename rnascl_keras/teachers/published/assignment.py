"""Published weights into a Keras model, each in its place or none."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from typing import Any

import keras
import numpy as np

from rnascl_keras.errors import UserError
from rnascl_keras.teachers.published.names import listed

BATCH_NORM = ("weight", "bias", "running_mean", "running_var")  # in the order Keras keeps them


def assign(
    model: keras.Model,
    weights: dict[str, np.ndarray],
    published_name: Callable[[str], str],
    path: object,
) -> None:
    """Set the model's weights.

    Args:
        model: of convolutions, batch normalisations and dense layers.
        weights: by published name: convolutions (out, in, h, w), dense layers (out, in).
        published_name: of a layer of the model, e.g. stage1_block1_conv1 -> layer1.0.conv1.
        path: where they come from, for the error.

    Raises:
        UserError: weights are missing, surplus, of another shape or not finite; it names them, and
            the model stays as it is.
    """
    missing, misshapen, values = [], [], {}
    used: set[str] = set()
    for before, layer in pairwise(model.layers):
        if not layer.weights:
            continue
        is_norm = isinstance(layer, keras.layers.BatchNormalization)
        kinds = BATCH_NORM if is_norm else ("weight", "bias")[: len(layer.weights)]
        names = [f"{published_name(layer.name)}.{kind}" for kind in kinds]
        used.update(names)
        for name, variable in zip(names, layer.weights, strict=True):
            shape = _to_torch_shape(tuple(variable.shape))
            if name not in weights:
                missing.append(name)
            elif weights[name].shape != shape:
                misshapen.append(f"{name} {weights[name].shape} instead of {shape}")
            else:
                values.setdefault(layer, []).append(_to_keras(weights[name], before))
    undefined = [name for name in used & set(weights) if not np.all(np.isfinite(weights[name]))]
    wrong = {
        "missing": missing,
        "surplus": [name for name in weights if name not in used],
        "of another shape": misshapen,
        "not finite": sorted(undefined),
    }
    faults = "; ".join(f"{what}: {listed(names)}" for what, names in wrong.items() if names)
    if faults:
        raise UserError(f"the weights in {path} do not fit {model.name}: {faults}.")
    for layer, value in values.items():
        layer.set_weights(value)


def _to_keras(value: np.ndarray, before: keras.layers.Layer) -> np.ndarray:
    """(out, in, h, w) -> (h, w, in, out); (out, in) -> (in, out); vectors stay.

    Where the layer before is a Flatten, PyTorch counted the inputs by channel, height, width.
    """
    if value.ndim == 4:
        return value.transpose(2, 3, 1, 0)
    if value.ndim == 2 and isinstance(before, keras.layers.Flatten):
        flattened: Any = before.input
        _, height, width, channels = flattened.shape
        value = value.reshape(-1, channels, height, width).transpose(0, 2, 3, 1)
        value = value.reshape(len(value), -1)  # (out, h, w, c) -> (out, h * w * c)
    return value.T


def _to_torch_shape(shape: tuple[int, ...]) -> tuple[int, ...]:
    """The shape before `_to_keras`."""
    return (shape[3], shape[2], shape[0], shape[1]) if len(shape) == 4 else shape[::-1]
