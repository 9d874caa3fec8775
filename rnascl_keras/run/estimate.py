"""About how long a training will take here, measured before it starts."""

from __future__ import annotations

import time
from collections.abc import Iterable
from typing import Any

import keras
import numpy as np

from rnascl_keras.run.training_state import training_state


def seconds_per_step(model: keras.Model, batches: Iterable, steps: int = 3) -> float:
    """Return the seconds that a training step takes, the fastest of `steps` after the first.

    The step is the compiled one that `fit` will use, so tracing is not paid twice; the model's
    variables, optimizers and random generators are put back afterwards.
    """
    state = training_state(model)
    before = [variable.numpy().copy() for variable in state]
    model.make_train_function()
    train: Any = model.train_function  # None, by its type, as it was before
    iterator = iter(batches)
    train(iterator)
    seconds = []
    for _ in range(steps):
        start = time.perf_counter()
        keras.tree.map_structure(np.asarray, train(iterator))  # a device may still be at it
        seconds.append(time.perf_counter() - start)
    for variable, value in zip(state, before, strict=True):
        variable.assign(value)
    return min(seconds)
