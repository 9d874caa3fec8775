"""Whole channels taken away: a smaller network of the same layers, and a really smaller file."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np

from rnascl_keras.errors import UserError
from rnascl_keras.models.altered import check_plain
from rnascl_keras.pruning.channels import MAKERS, Channels

Kept = dict[str, tuple[np.ndarray, np.ndarray]]
"""By layer, which channels of its input and of its output stay, as places."""


def without_channels(model: keras.Model, keep: float) -> keras.Model:
    """Return a network with the strongest channels of each group that has to go together.

    A channel's strength is the sum of squares of the weights that make it, in all layers that do.
    Logits, and channels at an operation that is not followed, all stay.

    Args:
        model: functional or Sequential, of stock layers.
        keep: share of each group's channels that stay, in (0, 1], at least one.

    Raises:
        UserError: the model is none that can be followed, or no channel can go.
    """
    functional = _functional(model)
    channels = Channels.of(functional)
    stay = _staying(functional, channels, keep)
    kept = {
        name: (
            _places(channels, numbers, stay),
            _places(channels, channels.outputs[name], stay),
        )
        for name, numbers in channels.inputs.items()
    }
    smaller = _rebuilt(functional, kept)
    if smaller.count_params() == functional.count_params() and keep < 1:
        raise UserError(
            f"no channel of {model.name} can be taken away at keep={keep}; keep fewer, or prune "
            "single weights, without --structured."
        )
    return smaller


def _functional(model: keras.Model) -> keras.Model:
    """Return the functional model of it; nested ones are not followed."""
    check_plain(model, f"model {model.name}", "pruned")
    functional: Any = model
    if isinstance(model, keras.Sequential):
        functional = model._functional
    turned = [
        layer.name
        for layer in model.layers
        if getattr(layer, "data_format", None) == "channels_first"
    ]
    if turned:
        raise UserError(
            f"model {model.name} has layers of channels first ({', '.join(turned)}), whose "
            "channels are not followed; prune single weights, without --structured."
        )
    nested = [layer.name for layer in model.layers if isinstance(layer, keras.Model)]
    if not hasattr(functional, "_nodes_by_depth") or nested:
        what = f"holds the models {', '.join(nested)}" if nested else "is subclassed"
        raise UserError(
            f"model {model.name} {what}, whose channels cannot be followed; prune single weights, "
            "without --structured."
        )
    return functional


def _staying(model: keras.Model, channels: Channels, keep: float) -> set[int]:
    """Return the roots of the channels that stay."""
    strength: dict[int, float] = {}
    groups: dict[int, set[int]] = {}
    for layer in model.layers:
        if not isinstance(layer, MAKERS) or layer.name not in channels.outputs:
            continue
        roots = channels.roots(channels.outputs[layer.name])
        squares = np.square(np.asarray(layer.kernel, np.float64))
        for root, value in zip(roots, squares.sum(tuple(range(squares.ndim - 1))), strict=True):
            strength[root] = strength.get(root, 0.0) + value
        _merge(groups, {int(root) for root in roots})
    stay = {channels.root(number) for number in channels.fixed}
    for group in {id(group): group for group in groups.values()}.values():
        free = sorted(group - stay, key=lambda root: (-strength[root], root))
        stay |= set(free[: max(1, round(keep * len(free)))])
    return stay


def _merge(groups: dict[int, set[int]], roots: set[int]) -> None:
    """Put a layer's channels into one group with those that they share a channel with."""
    merged = set(roots).union(*(groups[root] for root in roots if root in groups))
    for root in merged:
        groups[root] = merged


def _places(channels: Channels, numbers: np.ndarray, stay: set[int]) -> np.ndarray:
    made = channels.roots(numbers)
    return np.flatnonzero([root in stay for root in made])


def _rebuilt(model: keras.Model, kept: Kept) -> keras.Model:
    """Return the network of the kept channels, with their weights."""
    config = model.get_config()
    for entry in config["layers"]:
        settings = entry["config"]
        entry.pop("build_config", None)  # the shapes that it was built with
        for size in ("filters", "units"):
            if size in settings and entry["name"] in kept:
                settings[size] = len(kept[entry["name"]][1])
    smaller = type(model).from_config(config)
    for layer in model.layers:
        if not layer.weights:
            continue
        given, made = kept.get(layer.name, (None, None))
        weights = [_cut(layer, v, given, made) for v in layer.weights]
        smaller.get_layer(layer.name).set_weights(weights)
    return smaller


def _cut(layer: Any, variable: Any, given: Any, made: Any) -> np.ndarray:
    """Return the kept part of one of a layer's weights."""
    value = np.asarray(variable)
    if isinstance(layer, MAKERS):
        return value[..., given, :][..., made] if value.ndim > 1 else value[made]
    if isinstance(layer, keras.layers.DepthwiseConv2D):
        return value[:, :, given] if value.ndim > 1 else value[made]
    if isinstance(layer, keras.layers.BatchNormalization):
        return value[made]
    return value
