"""A Keras model whose `fit` and `evaluate` also work with several workers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
import tensorflow as tf

from rnascl_keras.workers import has_several_workers


class DistributedModel(keras.Model):
    """A `keras.Model` that can be fitted under `tf.distribute.MultiWorkerMirroredStrategy`.

    Keras 3's own cannot (keras-team/keras#20585): it reduces a distributed batch to build the
    model from, and then the step's logs along an axis that scalars do not have. Here the model is
    built from the first batch of this worker, and the logs get that axis.

    Subclasses write `train_step` and `test_step` as usual; they return scalars. Elsewhere than
    under several workers nothing changes.
    """

    def _maybe_symbolic_build(self, iterator: Any = None, data_batch: Any = None) -> None:
        if iterator is not None and has_several_workers(self.distribute_strategy):
            _, _, batches = next(iter(iterator))
            data_batch = keras.tree.map_structure(self._local, next(batches))
            iterator = None
        super()._maybe_symbolic_build(iterator=iterator, data_batch=data_batch)

    def _make_function(self, step_function: Callable[[Any], Any]) -> Callable[[Any], Any]:
        if not has_several_workers(self.distribute_strategy):
            return super()._make_function(step_function)

        def step_with_axis(data: Any) -> Any:
            # () -> (1,): Keras reduces along it
            return keras.tree.map_structure(lambda x: tf.reshape(x, (1,)), step_function(data))

        return super()._make_function(step_with_axis)

    def _get_metrics_result_or_logs(self, logs: Any) -> Any:
        """The last step's logs are means of the replicas' means, whatever images each has had;
        the metrics themselves are added up over the replicas."""
        logs = super()._get_metrics_result_or_logs(logs)
        if self.distribute_strategy.num_replicas_in_sync == 1:
            return logs
        metrics = self.get_metrics_result()
        return {name: metrics.get(name, value) for name, value in logs.items()}

    def _local(self, values: Any) -> Any:
        return self.distribute_strategy.experimental_local_results(values)[0]
