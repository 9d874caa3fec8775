"""A teacher that is asked anew in every step."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
import tensorflow as tf

from rnascl_keras.method.attention import unit_maps
from rnascl_keras.method.gradient_alignment import with_input_gradients
from rnascl_keras.method.taps import tap
from rnascl_keras.models.fingerprint import fingerprint
from rnascl_keras.models.logits import logits_model

Tensor = Any


class LiveTeacher:
    """A model that says its logits and its attention maps; it is never updated.

    Args:
        model: a functional or Sequential image classifier; a softmax at its end is left out.
        taps: where its attention maps are taken, see `taps.tap`.
        map_size: common (height, width) of the maps.

    Attributes:
        source: what answers: the model of the logits.
        layers: names of the n_t tapped layers.
        map_size: as given.
    """

    def __init__(
        self, model: keras.Model, taps: str | Sequence[str], map_size: Sequence[int]
    ) -> None:
        self.source = logits_model(model)
        self.map_size = tuple(map_size)
        self._tapped = tap(self.source, taps)
        self.layers = self._tapped.names

    @property
    def name(self) -> str:
        """The model's name."""
        return self.source.name

    @property
    def fingerprint(self) -> str:
        """Hash of the model's weights."""
        return fingerprint(self.source)

    def says(self, inputs: Any, layers: Sequence[int] | None = None) -> tuple[Tensor, Tensor]:
        """Return logits and unit maps.

        Args:
            inputs: images (batch, h, w, c), or a dict that holds them as `images`.
            layers: which of `self.layers`' maps are wanted, by number; by default all.

        Returns:
            (batch, classes), and float32 (batch, wanted layers, p) with rows of norm 1, or 0 for
            a map of zeros.
        """
        images = inputs["images"] if isinstance(inputs, dict) else inputs
        logits, activations, _ = self._tapped(images)
        wanted = activations if layers is None else [activations[k] for k in layers]
        if not wanted:
            return logits, tf.zeros((tf.shape(logits)[0], 0, self.map_size[0] * self.map_size[1]))
        return logits, unit_maps(wanted, self.map_size)

    def input_gradients(self, images: Tensor, labels: Tensor) -> Tensor:
        """Return how each image's cross-entropy changes with its pixels, float32 (batch, h, w, c).

        Args:
            images: (batch, h, w, c).
            labels: (batch,).
        """
        _, gradients = with_input_gradients(lambda x: (self.source(x),), images, labels)
        return gradients
