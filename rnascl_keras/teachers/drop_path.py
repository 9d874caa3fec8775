"""Drop path (Larsson et al., 2017): in training an operation is left out for some of the images."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from rnascl_keras.distribution.replicas import draw_for_images

Tensor = Any


class DropRate:
    """The share of images for which each operation is left out, one for a whole network."""

    def __init__(self) -> None:
        self.variable = keras.Variable(0.0, trainable=False, name="drop_rate")


class DropPath(keras.layers.Layer):
    """Makes the maps of some images zero and those of the others larger, so that the mean stays.

    It does nothing outside of training, and holds no weights: what is deployed is the network built
    without it.

    Args:
        rate: the share of images, which may change between steps.
    """

    def __init__(self, rate: DropRate, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.rate = rate
        self.noise = keras.random.SeedGenerator()

    def call(self, x: Tensor, training: bool = False) -> Tensor:
        """(batch, h, w, c) -> (batch, h, w, c)."""
        if not training:
            return x
        kept: Any = ops.cast(1.0 - self.rate.variable, x.dtype)
        drawn = draw_for_images(
            lambda shape: keras.random.uniform(shape, dtype=x.dtype, seed=self.noise),
            x[:, :1, :1, :1],
        )
        return x * ops.cast(drawn < kept, x.dtype) / kept


class GrowingDropRate(keras.callbacks.Callback):
    """Lets the rate grow linearly from 0, by the epochs that are done, to `final` after the last.

    Args:
        rate: what grows.
        final: its value after `epochs`.
        epochs: of the whole training, also where it goes on from a checkpoint.
    """

    def __init__(self, rate: DropRate, final: float, epochs: int) -> None:
        super().__init__()
        self.rate, self.final, self.epochs = rate, final, epochs

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        self.rate.variable.assign(self.final * epoch / self.epochs)
