"""A Keras model whose `fit` and `evaluate` also work with several workers."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from rnascl_keras.distribution.workers import has_several_workers, totals

Logs = dict[str, Any]


class DistributedModel(keras.Model):
    """A `keras.Model` that can be fitted under `tf.distribute.MultiWorkerMirroredStrategy`.

    Keras 3's own cannot (keras-team/keras#20585): it reduces a distributed batch to build the
    model from, and then the step's logs along an axis that scalars do not have. Here the model is
    built from the first batch of this worker, the logs of a step are those of its first replica,
    and the metrics of an epoch are those of all. They go over the network in one message: each
    number by itself and in every step, as Keras sends them, they took longer than the gradients.

    Subclasses write `train_step` and `test_step` as usual; they return scalars. Elsewhere than
    under several workers nothing changes.

    What a batch has to be like, `batch_checks` says: it is looked at before each step and outside
    of what XLA compiles, for XLA drops assertions.
    """

    _step_checks: Callable[[Any], list[Any]] | None = None

    def batch_checks(self, data: Any, training: bool) -> list[Any]:
        """Return the assertions that a replica's part of a batch has to pass before a step.

        Args:
            data: as a step is given it.
            training: whether it is a step of training.
        """
        return []

    def _maybe_symbolic_build(self, iterator: Any = None, data_batch: Any = None) -> None:
        if iterator is not None and has_several_workers(self.distribute_strategy):
            _, _, batches = next(iter(iterator))
            data_batch = self._first(next(batches))
            iterator = None
        super()._maybe_symbolic_build(iterator=iterator, data_batch=data_batch)

    def _make_function(self, step_function: Callable[[Any], Logs]) -> Callable[[Any], Logs]:
        training = step_function == self.train_step
        if not has_several_workers(self.distribute_strategy):
            self._step_checks = partial(self.batch_checks, training=training)
            try:
                return super()._make_function(step_function)
            finally:
                self._step_checks = None

        def one_step(data: Any) -> Logs:
            return self._first(self.distribute_strategy.run(step_function, args=(data,)))

        if self.jit_compile:
            one_step = tf.function(one_step, jit_compile=True)
        checked = self._checked(one_step, partial(self.batch_checks, training=training))

        def some_steps(iterator: Iterator) -> Logs:
            for _ in range(self.steps_per_execution):
                logs = checked(next(iterator))
            return logs

        return some_steps if self.run_eagerly else tf.function(some_steps, autograph=False)

    def _autoconvert_optionals(self, step: Callable[[Any], Logs]) -> Callable[[Any], Logs]:
        """What Keras lays around a step after it has told XLA to compile it, the checks within."""
        if self._step_checks is not None:
            step = self._checked(step, self._step_checks)
        return super()._autoconvert_optionals(step)

    def _checked(
        self, step: Callable[[Any], Logs], checks: Callable[[Any], list[Any]]
    ) -> Callable[[Any], Logs]:
        """Return `step` of a global batch, done only where every replica's part is as it has to."""

        def checked(data: Any) -> Logs:
            replicas = len(self._parts(keras.tree.flatten(data)[0]))
            held = [x for k in range(replicas) for x in checks(self._part(data, k))]
            with tf.control_dependencies(held):
                return step(data)

        return checked

    def reset_metrics(self) -> None:
        """Begin the metrics of all replicas anew."""
        if not has_several_workers(self.distribute_strategy):
            super().reset_metrics()
            return
        with keras.StatelessScope() as scope:
            super().reset_metrics()
        for variable in self.metrics_variables:
            if (value := scope.get_current_value(variable)) is not None:
                for part in self._parts(variable.value):
                    part.assign(value)

    def get_metrics_result(self) -> Logs:
        """Return the metrics by name: over what all replicas have seen, but in a step over what
        this one has. All workers must ask."""
        if _in_a_step() or not has_several_workers(self.distribute_strategy):
            return super().get_metrics_result()
        variables = self.metrics_variables
        here = [np.sum([part.numpy() for part in self._parts(v.value)], axis=0) for v in variables]
        sums = totals(self.distribute_strategy, here)
        with keras.StatelessScope(state_mapping=list(zip(variables, sums, strict=True))):
            return super().get_metrics_result()

    def _get_metrics_result_or_logs(self, logs: Logs) -> Logs:
        """The last step's logs are of one replica, or means of the replicas' means, whatever images
        each has had; the metrics are added up over the replicas."""
        if self.distribute_strategy.num_replicas_in_sync == 1:
            return super()._get_metrics_result_or_logs(logs)
        metrics = self.get_metrics_result()
        return {name: metrics.get(name, value) for name, value in logs.items()}

    def _first(self, structure: Any) -> Any:
        """Return what the first replica of this worker has, for each value of a structure."""
        return self._part(structure, 0)

    def _part(self, structure: Any, replica: int) -> Any:
        """Return what replica number `replica` of this worker has, for each value."""
        return keras.tree.map_structure(lambda values: self._parts(values)[replica], structure)

    def _parts(self, values: Any) -> tuple[Any, ...]:
        """Return what each replica of this worker has."""
        return self.distribute_strategy.experimental_local_results(values)


def _in_a_step() -> bool:
    """Return whether this is traced, or runs on one of a strategy's replicas."""
    on_a_replica = tf.distribute.has_strategy() and not tf.distribute.in_cross_replica_context()
    return on_a_replica or not tf.executing_eagerly()
