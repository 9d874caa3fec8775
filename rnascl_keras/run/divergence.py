"""A training that diverges: found at the end of the epoch, and before anything is saved."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np

from rnascl_keras.errors import Diverged
from rnascl_keras.models.finite import is_finite
from rnascl_keras.run.training_state import training_state


class StopsWhenDiverged(keras.callbacks.Callback):
    """Ends a training after the first epoch whose loss, weights or optimizer are not finite.

    To be the first of the callbacks, so that none of the others writes down such an epoch.
    """

    model: keras.Model  # set by `fit`; Keras gives it no type

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        loss = np.mean((logs or {}).get("loss", 0.0))  # of several workers an array
        if not np.isfinite(loss):
            raise Diverged(f"in epoch {epoch + 1} the loss is {loss}")
        check_state([v.numpy() for v in training_state(self.model)], epoch)


def check_state(state: list[Any], epoch: int) -> None:
    """Raise Diverged where a training's variables, in `epoch` from 0, are not finite."""
    if not is_finite(state):
        raise Diverged(f"in epoch {epoch + 1} weights became NaN or infinite")
