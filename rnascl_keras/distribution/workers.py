"""Several processes that train together: who writes, how they agree, what if one dies."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import cache

import numpy as np
import tensorflow as tf
from numpy.typing import ArrayLike

from rnascl_keras.errors import WorkerLost, one_line

LOST = (
    tf.errors.UnavailableError,
    tf.errors.AbortedError,
    tf.errors.CancelledError,
    tf.errors.DeadlineExceededError,
    tf.errors.FailedPreconditionError,
    tf.errors.InternalError,
)
"""What TensorFlow raises on a worker whose peer has gone."""


def has_several_workers(strategy: tf.distribute.Strategy) -> bool:
    """Return whether this process is one of several that train together."""
    return isinstance(strategy, tf.distribute.MultiWorkerMirroredStrategy) and (
        worker_count(strategy) > 1
    )


def worker_count(strategy: tf.distribute.Strategy) -> int:
    """Return the number of processes that train together; a TPU's hosts are driven by one."""
    if not isinstance(strategy, tf.distribute.MultiWorkerMirroredStrategy):
        return 1
    devices_here = len(strategy.extended.worker_devices)
    return strategy.num_replicas_in_sync // devices_here


def is_chief(strategy: tf.distribute.Strategy) -> bool:
    """Return whether this process writes the files that all share."""
    return worker_index(strategy) == 0


def worker_index(strategy: tf.distribute.Strategy) -> int:
    """Return the number of this process among its workers; the chief is 0."""
    if not has_several_workers(strategy):
        return 0
    resolver = strategy.cluster_resolver
    before = 1 if "chief" in resolver.cluster_spec().jobs and resolver.task_type != "chief" else 0
    return resolver.task_id + before


def total(strategy: tf.distribute.Strategy, value: float) -> float:
    """Return the sum of what every worker gives; all of them must ask. It is a barrier as well."""
    return float(totals(strategy, [value])[0])


def wait_for_all_workers(strategy: tf.distribute.Strategy) -> None:
    """Go on when every worker has come here; all of them must."""
    total(strategy, 0)


def totals(strategy: tf.distribute.Strategy, values: Sequence[ArrayLike]) -> list[np.ndarray]:
    """Return the sums of what every worker gives, arrays of the same shapes on all, in float64.

    All workers must ask, and it is a barrier as well.
    """
    arrays = [np.asarray(value, np.float64) for value in values]
    if not has_several_workers(strategy):
        return arrays
    share = np.concatenate([x.ravel() for x in arrays]) / len(strategy.extended.worker_devices)
    added = _adder(strategy)(tf.constant(share))
    together = strategy.experimental_local_results(added)[0].numpy()
    ends = np.cumsum([x.size for x in arrays])[:-1]
    parts = np.split(together, ends)
    return [part.reshape(x.shape) for part, x in zip(parts, arrays, strict=True)]


@cache
def _adder(strategy: tf.distribute.Strategy) -> Callable[[tf.Tensor], tf.Tensor]:
    def add(values: tf.Tensor) -> tf.Tensor:
        here = tf.identity(values)  # on the replica's device, which an argument is not
        return tf.distribute.get_replica_context().all_reduce("SUM", here)

    return tf.function(lambda values: strategy.run(add, args=(values,)), autograph=False)


@contextmanager
def reporting_lost_workers(strategy: tf.distribute.Strategy) -> Iterator[None]:
    """Raise `WorkerLost` where TensorFlow finds that a peer has gone."""
    try:
        yield
    except LOST as error:
        if not has_several_workers(strategy):
            raise
        raise WorkerLost(one_line(error)) from error
