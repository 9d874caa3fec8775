"""Which variables make up the state of a training."""

from __future__ import annotations

from typing import Any

import keras


def training_state(model: keras.Model) -> list[Any]:
    """Return the variables that make up the state of a training, in a fixed order.

    The model's own (weights, moving statistics, temperatures, random generators) and those of its
    optimizers; not metrics, which start anew with each epoch.
    """
    metrics = {id(v) for v in metric_variables(model)}
    optimizers = [model.optimizer, getattr(model, "architecture_optimizer", None)]
    state = [v for v in model.variables if id(v) not in metrics]
    for optimizer in filter(None, optimizers):
        state += optimizer.variables
    return state


def metric_variables(model: keras.Model) -> list[Any]:
    """Return the variables of a model's metrics, also of one that it does not report."""
    every: Any = keras.Model.metrics
    return [v for metric in every.fget(model) for v in metric.variables]
