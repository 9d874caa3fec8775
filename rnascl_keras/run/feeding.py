"""The batches that a stage of a run is fitted on."""

from __future__ import annotations

import tensorflow as tf

from rnascl_keras.data.share import WHOLE, Share
from rnascl_keras.run.workdir import Run
from rnascl_keras.teachers.cache import TeacherCache

Batches = tf.data.Dataset | tf.distribute.DistributedDataset


def batches_of(
    run: Run, batch_size: int, cache: TeacherCache | None, epoch: int, step: int
) -> Batches:
    """Return the batches from a step of an epoch on, dealt out to the strategy's replicas."""

    def of(share: Share) -> tf.data.Dataset:
        position = {"first_epoch": epoch, "first_step": step, "share": share}
        if cache:
            return cache.training_batches(batch_size, **position)
        settings = {"augmentation": run.recipe.data.augmentation, "seed": run.recipe.seed}
        return run.data.train.training_batches(batch_size, **settings, **position)

    def of_host(context: tf.distribute.InputContext) -> tf.data.Dataset:
        count = context.num_replicas_in_sync // context.num_input_pipelines
        first = context.input_pipeline_id * count
        return of(Share(context.num_replicas_in_sync, first, count))

    if run.strategy.num_replicas_in_sync == 1:
        return of(WHOLE)
    return run.strategy.distribute_datasets_from_function(of_host)
