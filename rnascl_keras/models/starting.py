"""Starting a network from another's weights: for other images, and for other classes.

Robust features transfer (Salman et al., 2020: Do Adversarially Robust ImageNet Models Transfer
Better?), so a few images go further from a robust network of other images than from nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import keras
import numpy as np

from rnascl_keras.errors import UserError, one_line
from rnascl_keras.models.altered import check_plain
from rnascl_keras.models.finite import check_finite
from rnascl_keras.models.logits import logits_model


@dataclass(frozen=True)
class Started:
    """What a network was given of another's weights.

    Attributes:
        taken: number of tensors.
        cut: how many of these are the first channels of wider ones.
        total: of tensors that the network has.
        new: the layers that keep some of their own, in their order.
    """

    taken: int
    cut: int
    total: int
    new: tuple[str, ...]

    def __str__(self) -> str:
        told = f"{self.taken} of {self.total} tensors are taken"
        if self.cut:
            told += f", {self.cut} of them cut to their first channels"
        if not self.new:
            return told
        more = f" and {len(self.new) - 3} layers more" if len(self.new) > 3 else ""
        return f"{told}; new are those of {', '.join(self.new[:3])}{more}"


def start_from(model: keras.Model, source: keras.Model, name: str = "the start") -> Started:
    """Give `model` the weights of the layers in `source` that have the same name, and fit.

    What is wider there is cut to its first channels, which in a search space are those that a
    narrower student has. What is not there, or narrower, stays as it is; so does a head for other
    classes.
    A convolution of one channel takes the sum over the channels of one of three: it then sees in a
    grey image what the other saw in the same image in grey colour.

    Args:
        model: changed in place.
        source: another network, of the same architecture but for what may be new.
        name: what `source` is, which begins the message of an error.

    Raises:
        UserError: less than half of it fits, its weights are not finite, or not of float kernels.
    """
    check_plain(source, name, "started from")
    check_finite(source.variables, name, "start from another")
    layers = {layer.name: layer for layer in source._flatten_layers() if layer.weights}
    head = model.outputs[0]._keras_history.operation
    taken, cut, total, new = 0, 0, 0, []
    for layer in model._flatten_layers():
        own = _own_weights(layer)
        theirs = _own_weights(layers.get(layer.name))
        fitting = [_fitted(v, w, layer is head) for v, w in zip(theirs, own, strict=False)]
        total += len(own)
        if not own:
            continue
        if len(theirs) == len(own) and all(value is not None for value in fitting):
            for variable, value in zip(own, fitting, strict=True):
                variable.assign(value)
            taken += len(own)
            cut += sum(_is_cut(v, w) for v, w in zip(theirs, own, strict=True))
        else:
            new.append(layer.name)
    started = Started(taken, cut, total, tuple(new))
    if taken < total / 2:
        raise UserError(
            f"{name} is of another architecture than the network that is to start from it: "
            f"{started}; start from one of the same."
        )
    return started


def for_other_images(
    source: keras.Model, input_shape: tuple[int, int, int], classes: int, name: str = "the start"
) -> keras.Model:
    """Return a new network, of new weights, like `source` but for other images and classes.

    Its layers have the names they have in `source`, which ends in a dense layer: that alone is of
    another size. What computes in another number of channels is made for these.

    Args:
        source: a functional or Sequential classifier, whatever its final activation.
        input_shape: (h, w, c) of the images.
        classes: number of logits.
        name: what `source` is, which begins the message of an error.

    Raises:
        UserError: it does not end in a dense layer, or cannot take such images, or has layers
            without float kernels.
    """
    check_plain(source, name, "started from")
    source = logits_model(source)
    head = source.outputs[0]._keras_history.operation
    if not isinstance(head, keras.layers.Dense):
        raise UserError(
            f"{name} ends in {type(head).__name__}, so it is not known where a head for other "
            "classes belongs; expected a network that ends in a dense layer."
        )

    def like(layer: Any) -> Any:
        config = layer.get_config()
        if layer is head:
            config["units"] = classes
        elif isinstance(layer, keras.layers.Layer):
            config.pop("dtype", None)  # the policy in force, but for the head's own
        return type(layer).from_config(config)

    images = keras.Input(input_shape, name=source.inputs[0].name)
    try:
        return keras.models.clone_model(source, input_tensors=images, clone_function=like)
    except Exception as error:
        shape = " x ".join(map(str, input_shape))
        raise UserError(
            f"{name} cannot be made for images of {shape} ({one_line(error)}); expected a network "
            "that takes images of any size, such as one of convolutions and global pooling."
        ) from error


def _own_weights(layer: Any) -> list[Any]:
    """Return a layer's weights; of one that holds others, which come by themselves, none."""
    if layer is None or getattr(layer, "layers", None):
        return []
    return list(layer.weights)


def _fitted(theirs: Any, own: Any, is_head: bool) -> np.ndarray | None:
    """Return a weight's value as `own` can take it, None where it cannot."""
    value, wanted = np.asarray(theirs), tuple(own.shape)
    if value.ndim == 4 and value.shape[2] == 3 and wanted[2:3] == (1,):
        value = value.sum(axis=2, keepdims=True)  # (kh, kw, 3, filters) -> (kh, kw, 1, filters)
    if value.ndim != len(wanted) or (is_head and value.shape[-1:] != wanted[-1:]):
        return None
    if value.ndim == 4 and value.shape[:2] != wanted[:2]:  # another kernel, not a wider one
        return None
    if any(has < wants for has, wants in zip(value.shape, wanted, strict=True)):
        return None
    return value[tuple(slice(0, wants) for wants in wanted)]


def _is_cut(theirs: Any, own: Any) -> bool:
    """Whether channels are left out; those of grey are not, but summed."""
    return theirs.shape[-1] != own.shape[-1] or theirs.shape[-2:-1] not in (own.shape[-2:-1], (3,))
