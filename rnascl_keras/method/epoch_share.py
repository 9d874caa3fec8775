"""How far a `fit` is, for terms whose weight changes from epoch to epoch."""

from __future__ import annotations

from typing import Any

import keras


class EpochShare(keras.callbacks.Callback):
    """Holds k / n during epoch k = 1, 2, ... of the n of a `fit`; 1 before and outside of one.

    A `fit` that goes on from an `initial_epoch` is as far as that says.

    Attributes:
        share: the variable, a scalar, so that a compiled step sees it change.
    """

    def __init__(self) -> None:
        super().__init__()
        dtype = keras.config.floatx()  # that of losses
        self.share = keras.Variable(1.0, trainable=False, dtype=dtype, name="epoch_share")

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        params: Any = self.params  # None only before `fit`
        self.share.assign((epoch + 1) / params["epochs"])
