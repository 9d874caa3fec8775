"""tf.data pipelines: which image comes when, and with which random numbers."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import tensorflow as tf

from rnascl_keras.data.augmentation import Augmentation
from rnascl_keras.data.transforms import draws_needed

if TYPE_CHECKING:
    from rnascl_keras.data.image_data import ImageData


def batches(data: ImageData, batch_size: int) -> tf.data.Dataset:
    """See `ImageData.batches`."""
    plain = Augmentation()
    n = len(data)
    no_draws = np.zeros((n, draws_needed(plain)), np.float32)
    elements = tf.data.Dataset.from_tensor_slices((np.arange(n), data.labels, no_draws))
    return _finished(data.pixels.batched(elements, batch_size, plain, drop_remainder=False))


def training_batches(
    data: ImageData, batch_size: int, augmentation: Augmentation, seed: int, first_epoch: int
) -> tf.data.Dataset:
    """See `ImageData.training_batches`."""
    n = len(data)
    used = n - n % batch_size
    labels = tf.constant(data.labels)

    def epoch_elements(epoch: tf.Tensor) -> tf.data.Dataset:
        order_seed, draw_seed = tf.unstack(tf.random.split(tf.stack([seed, epoch]), 2))
        # 62 random bits a key: no ties, so every permutation is equally likely
        keys = tf.random.stateless_uniform([n], order_seed, 0, 2**62, tf.int64)
        order = tf.argsort(keys)[:used]
        # Row i belongs to image i, wherever the order puts it.
        draws = tf.random.stateless_uniform([n, draws_needed(augmentation)], draw_seed)
        return tf.data.Dataset.from_tensor_slices(
            (order, tf.gather(labels, order), tf.gather(draws, order))
        )

    seed = tf.constant(seed, tf.int64)
    elements = tf.data.Dataset.counter(start=first_epoch).flat_map(epoch_elements)
    return _finished(data.pixels.batched(elements, batch_size, augmentation, drop_remainder=True))


def _finished(dataset: tf.data.Dataset) -> tf.data.Dataset:
    options = tf.data.Options()
    options.deterministic = True
    # Data in memory cannot be sharded by file.
    options.experimental_distribute.auto_shard_policy = tf.data.experimental.AutoShardPolicy.DATA
    return dataset.with_options(options).prefetch(tf.data.AUTOTUNE)
