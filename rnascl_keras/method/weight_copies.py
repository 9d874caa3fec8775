"""Second copies of a model's weights: the average over the training, and the best epoch's.

They are variables, so a checkpoint of the training holds them. Keras' own average of weights, that
of its optimizers, leaves out the moving statistics of batch normalisation, which then belong to
other weights.
"""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
from keras import ops
from keras.config import floatx


class _Copy(keras.layers.Layer):
    """Variables of the shapes and values of a model's weights."""

    def __init__(self, model: keras.Model, name: str) -> None:
        super().__init__(trainable=False, dtype=floatx(), name=name)
        self.originals = tuple(model.weights)
        self.copies = [
            self.add_weight(
                shape=weight.shape, initializer="zeros", trainable=False, name=f"copy_{k}"
            )
            for k, weight in enumerate(self.originals)
        ]
        self.follow()
        self.built = True

    def follow(self) -> None:
        """Copy the model's present weights."""
        for copy, weight in zip(self.copies, self.originals, strict=True):
            copy.assign(weight)

    def put(self) -> None:
        """Give the model these weights."""
        for copy, weight in zip(self.copies, self.originals, strict=True):
            weight.assign(copy)


class WeightAverage(_Copy):
    """Exponential moving average of a model's weights and moving statistics.

    Args:
        model: whose weights are averaged; built.
        decay: a step. The first steps use min(decay, (1 + t) / (10 + t)), so that the random
            weights of the beginning are soon forgotten.
    """

    def __init__(self, model: keras.Model, decay: float) -> None:
        super().__init__(model, "weight_average")
        self.decay = decay
        self.updates = self.add_weight(
            shape=(), initializer="zeros", trainable=False, name="updates"
        )

    def update(self) -> None:
        """Take the model's present weights into the average; traceable."""
        self.updates.assign_add(1.0)
        keep: Any = ops.minimum(self.decay, (1.0 + self.updates) / (10.0 + self.updates))
        for copy, weight in zip(self.copies, self.originals, strict=True):
            copy.assign(keep * copy + (1.0 - keep) * ops.cast(weight, floatx()))

    def swap(self) -> None:
        """Exchange the model's weights with the averaged ones."""
        for copy, weight in zip(self.copies, self.originals, strict=True):
            held = np.asarray(weight).copy()
            weight.assign(copy)
            copy.assign(held)


class WeightCopy(_Copy):
    """The weights of the best epoch so far, with its score and number (-1: none yet)."""

    def __init__(self, model: keras.Model) -> None:
        super().__init__(model, "best_weights")
        self.score, self.epoch = (
            self.add_weight(shape=(), initializer="zeros", trainable=False, name=name)
            for name in ("score", "epoch")
        )
        self.forget()

    def forget(self) -> None:
        """Take whatever comes next for the best."""
        self.score.assign(-1.0)
        self.epoch.assign(-1.0)

    def take(self, score: float, epoch: int) -> None:
        """Copy the model's present weights, and note what they are worth."""
        self.follow()
        self.score.assign(score)
        self.epoch.assign(epoch)
