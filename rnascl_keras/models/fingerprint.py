"""Which model this is, in a few characters."""

from __future__ import annotations

import hashlib
import json
from typing import Any

import keras
import numpy as np

PASSING = ("name", "trainable", "shared_object_id")
"""Keys of a layer's configuration on which what it computes does not depend."""
REFERENCES = ("keras_history", "input_layers", "output_layers")
"""Keys under which a configuration names other layers."""


def fingerprint(model: keras.Model) -> str:
    """Return a hash of the model's variables: their shapes and values, not their names."""
    digest = hashlib.sha256()
    for variable in model.weights:
        value = np.ascontiguousarray(np.asarray(variable))
        digest.update(f"{value.dtype}{value.shape}".encode())
        digest.update(value.tobytes())
    return digest.hexdigest()[:16]


def structure(model: keras.Model) -> str:
    """Return a hash of the model's layers, their settings and how they are joined.

    With `fingerprint` it settles what the model computes: the constants of a `Rescaling` are no
    weights. Layers' names do not count, for Keras numbers them anew in every process.
    """
    names = [layer.name for layer in model._flatten_layers()]
    places = {name: f"layer {k}" for k, name in enumerate(names)}
    content = json.dumps(_without_names(model.get_config(), places), sort_keys=True, default=str)
    return hashlib.sha256(content.encode()).hexdigest()[:16]


def _without_names(value: Any, places: dict[str, str], refers: bool = False) -> Any:
    """Return a configuration in which layers are named by their places.

    Args:
        value: of the configuration, or a part of it.
        places: of the layers, by name.
        refers: whether it names layers; elsewhere a word that some layer bears too, such as
            ``relu``, says what is computed.
    """
    if isinstance(value, dict):
        kept = {k: v for k, v in value.items() if k not in PASSING}
        return {k: _without_names(v, places, refers or k in REFERENCES) for k, v in kept.items()}
    if isinstance(value, (list, tuple)):
        return [_without_names(v, places, refers) for v in value]
    return places.get(value, value) if refers and isinstance(value, str) else value
