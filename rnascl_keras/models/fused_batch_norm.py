"""Batch normalisation in training by TensorFlow's fused kernel.

Keras computes it of moments, differences and products, each of which reads and writes the whole
map; on a CPU that takes half of a small network's training step (`benchmarks/fused_norm.py`). Its
gradient of a gradient is off, too, which input gradients in a loss need: `tf.nn.moments` holds the
mean still in the variance. The kernel's is right.
"""

from __future__ import annotations

from functools import partial
from typing import Any

import keras
import tensorflow as tf
from keras.layers import BatchNormalization

Tensor = Any


def fuse_batch_norm(model: keras.Model) -> None:
    """Let the model's batch normalisations train by the fused kernel, where it computes the same.

    Only the calls change: weights, moving statistics, what is saved, and inference stay Keras' own,
    and so do layers with a mask, with renorm, across replicas or over another axis than the last.
    """
    for layer in model._flatten_layers():
        if type(layer) is BatchNormalization and not getattr(layer, "renorm", False):
            layer.call = partial(_fused, layer)


def _fused(
    layer: BatchNormalization, inputs: Tensor, training: bool | None = None, mask: Tensor = None
) -> Tensor:
    """As `BatchNormalization.call`."""
    wide = keras.backend.result_type(inputs.dtype, "float32")
    maps = len(inputs.shape) == 4 and layer.axis in (-1, 3) and mask is None and wide == "float32"
    if not (training and layer.trainable and maps) or layer.synchronized:
        return BatchNormalization.call(layer, inputs, training=training, mask=mask)
    channels = inputs.shape[-1]
    outputs, mean, variance, *_ = tf.raw_ops.FusedBatchNormV3(
        x=tf.cast(inputs, wide),
        scale=tf.cast(layer.gamma, wide) if layer.scale else tf.ones(channels),
        offset=tf.cast(layer.beta, wide) if layer.center else tf.zeros(channels),
        mean=tf.zeros(0),
        variance=tf.zeros(0),
        epsilon=layer.epsilon,
        is_training=True,
    )
    # The kernel's variance is the unbiased one; Keras' is the mean of squares
    values = tf.cast(tf.size(inputs) // channels, wide)
    _move(layer.moving_mean, mean, layer.momentum)
    _move(layer.moving_variance, variance * (values - 1) / values, layer.momentum)
    return tf.cast(outputs, layer.compute_dtype)


def _move(statistic: Any, seen: Tensor, momentum: float) -> None:
    before = tf.cast(statistic, seen.dtype)
    statistic.assign(before * momentum + seen * (1.0 - momentum))
