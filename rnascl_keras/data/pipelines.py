"""tf.data pipelines: which image comes when, and with which random numbers."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import tensorflow as tf

from rnascl_keras.data.augmentation import Augmentation
from rnascl_keras.data.transforms import draws_needed

if TYPE_CHECKING:
    from rnascl_keras.data.pixels import ArrayPixels, FilePixels
    from rnascl_keras.data.share import Share


def batches(
    pixels: ArrayPixels | FilePixels, labels: np.ndarray, batch_size: int
) -> tf.data.Dataset:
    """See `ImageData.batches`."""
    plain = Augmentation()
    n = len(labels)
    no_draws = np.zeros((n, draws_needed(plain)), np.float32)
    elements = tf.data.Dataset.from_tensor_slices((np.arange(n), labels, no_draws))
    return _finished(pixels.batched(elements, batch_size, plain, drop_remainder=False))


def training_batches(
    pixels: ArrayPixels | FilePixels,
    labels: np.ndarray,
    batch_size: int,
    augmentation: Augmentation,
    seed: int,
    first_epoch: int,
    first_step: int,
    views: int | None,
    indexed: bool,
    share: Share,
) -> tf.data.Dataset:
    """See `ImageData.training_batches`."""
    n = len(labels)
    used = n - n % batch_size
    classes = tf.constant(labels)
    each = batch_size // share.replicas

    def epoch_elements(epoch: tf.Tensor) -> tf.data.Dataset:
        order_seed, _ = _seeds(seed, epoch)
        # 62 random bits a key: no ties, so every permutation is equally likely
        keys = tf.random.stateless_uniform([n], order_seed, 0, 2**62, tf.int64)
        order = tf.argsort(keys)[:used]
        if first_step:
            order = order[tf.where(epoch == first_epoch, first_step * batch_size, 0) :]
        order = share.of(order, batch_size)
        view = epoch if views is None else tf.math.floormod(epoch, views)
        target = tf.gather(classes, order)
        if indexed:
            target = (target, tf.cast(order, tf.int64), tf.fill(tf.shape(order), view))
        draws = _draws(n, augmentation, seed, view)
        return tf.data.Dataset.from_tensor_slices((order, target, tf.gather(draws, order)))

    elements = tf.data.Dataset.counter(start=first_epoch).flat_map(epoch_elements)
    # A strategy that knows of no end neither asks all workers before each step whether one is at
    # its, nor hides the static shapes for the case.
    elements = elements.apply(tf.data.experimental.assert_cardinality(tf.data.INFINITE_CARDINALITY))
    dataset = pixels.batched(elements, each, augmentation, drop_remainder=True)
    if indexed:
        dataset = dataset.map(lambda images, target: (images, *target))
    return _finished(dataset)


def view_batches(
    pixels: ArrayPixels | FilePixels,
    labels: np.ndarray,
    view: int,
    batch_size: int,
    augmentation: Augmentation,
    seed: int,
    start: int,
    stop: int,
) -> tf.data.Dataset:
    """See `ImageData.view_batches`."""
    draws = _draws(len(labels), augmentation, seed, view)
    elements = tf.data.Dataset.from_tensor_slices(
        (np.arange(start, stop), labels[start:stop], draws[start:stop])
    )
    return _finished(pixels.batched(elements, batch_size, augmentation, drop_remainder=False))


def _seeds(seed: int, epoch: tf.Tensor | int) -> tuple[tf.Tensor, tf.Tensor]:
    """Return the seeds of an epoch's order and of its draws."""
    pair = tf.stack([tf.constant(seed, tf.int64), tf.cast(epoch, tf.int64)])
    order_seed, draw_seed = tf.unstack(tf.random.split(pair, 2))
    return order_seed, draw_seed


def _draws(n: int, augmentation: Augmentation, seed: int, view: tf.Tensor | int) -> tf.Tensor:
    """Return the uniform numbers of a view; row i is image i's, wherever an order puts it."""
    _, draw_seed = _seeds(seed, view)
    return tf.random.stateless_uniform([n, draws_needed(augmentation)], draw_seed)


def _finished(dataset: tf.data.Dataset) -> tf.data.Dataset:
    options = tf.data.Options()
    options.deterministic = True
    # Data in memory cannot be sharded by file.
    options.experimental_distribute.auto_shard_policy = tf.data.experimental.AutoShardPolicy.DATA
    return dataset.with_options(options).prefetch(tf.data.AUTOTUNE)
