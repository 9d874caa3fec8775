"""Batch normalisation in training by TensorFlow's fused kernel.

Keras computes it of moments, differences and products, each of which reads and writes the whole
map; on a CPU that takes half of a small network's training step (`benchmarks/fused_norm.py`). Its
gradient of a gradient is off, too, which input gradients in a loss need: `tf.nn.moments` holds the
mean still in the variance. The kernel has none of its own but differences and products again; it is
written out here in passes of the kernel.
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
    x = tf.cast(inputs, wide)
    # XLA takes the variance as <x x> - <x><x>, which cancels where x is far from 0.
    near = tf.stop_gradient(x[:1, :1, :1])
    outputs, mean, variance = normalised(
        x - near,
        tf.cast(layer.gamma, wide) if layer.scale else tf.ones(channels),
        tf.cast(layer.beta, wide) if layer.center else tf.zeros(channels),
        layer.epsilon,
    )
    _move(layer.moving_mean, mean + tf.reshape(near, [channels]), layer.momentum)
    _move(layer.moving_variance, variance, layer.momentum)
    return tf.cast(outputs, layer.compute_dtype)


def _move(statistic: Any, seen: Tensor, momentum: float) -> None:
    before = tf.cast(statistic, seen.dtype)
    statistic.assign(before * momentum + seen * (1.0 - momentum))


def normalised(
    x: Tensor, scale: Tensor, offset: Tensor, epsilon: float
) -> tuple[Tensor, Tensor, Tensor]:
    """Return scale * (x - mean) / sqrt(variance + epsilon) + offset, the mean and the variance.

    The first can be differentiated twice, by all three, and no more; the statistics are constants
    to a tape.

    Args:
        x: maps, float32 (batch, h, w, c); mean and variance, of c channels, are those of the rest.
        scale, offset: float32 (c,).
        epsilon: above 0.
    """
    count = tf.cast(tf.size(x) // x.shape[-1], x.dtype)

    @tf.custom_gradient
    def forward(x: Tensor, scale: Tensor, offset: Tensor) -> Any:
        y, mean, unbiased, *saved = tf.raw_ops.FusedBatchNormV3(
            x=x, scale=scale, offset=offset, mean=[], variance=[], epsilon=epsilon
        )
        # of one value cuDNN may say anything
        variance = tf.where(count > 1, unbiased * (count - 1) / count, tf.zeros_like(mean))

        def backward(upstream: Tensor, *_: Tensor) -> tuple[Tensor, Tensor, Tensor]:
            return _Slopes(saved, mean, variance, epsilon, count).of(upstream, x, scale)

        return (y, mean, variance), backward

    return forward(x, scale, offset)


class _Slopes:
    """The kernel's gradient, which can be differentiated itself.

    With n the normalised x, s = 1 / sqrt(variance + epsilon), <.> the mean of a channel and g the
    loss's gradient by the outputs,

        by x:      scale s (g - <g> - n <gn>)
        by scale:  count <gn>
        by offset: count <g>
    """

    def __init__(
        self, saved: list[Tensor], mean: Tensor, variance: Tensor, epsilon: float, count: Tensor
    ) -> None:
        self.saved = saved
        self.mean = mean
        self.variance = variance
        self.epsilon = epsilon
        self.count = count

    def of(self, g: Tensor, x: Tensor, scale: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return the three, of which each can be differentiated by g, x and scale."""
        of_x, of_scale, of_offset = self._kernel(g, x, scale)

        # Two functions: what differentiates the images' gradient alone does not pay for the others.
        @tf.custom_gradient
        def by_x(g: Tensor, x: Tensor, scale: Tensor) -> Any:
            return of_x, lambda v: self._of_by_x(v, g, x, scale, of_scale, of_offset)

        @tf.custom_gradient
        def by_weights(g: Tensor, x: Tensor) -> Any:
            return (of_scale, of_offset), lambda p, q: self._of_by_weights(p, q, g, x)

        return by_x(g, x, scale), *by_weights(g, x)

    def _of_by_x(
        self, v: Tensor, g: Tensor, x: Tensor, scale: Tensor, of_scale: Tensor, of_offset: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Return the slopes of sum(v * by x), by g, x and scale.

        That sum is count scale s r with r = <vg> - <v><g> - <vn><gn>; s and n depend on x.
        """
        of_g, vn, v_sum = self._kernel(v, x, scale)
        mean_g, mean_gn = of_offset / self.count, of_scale / self.count
        mean_v, mean_vn = v_sum / self.count, vn / self.count
        s = tf.math.rsqrt(self.variance + self.epsilon)
        r = tf.reduce_mean(v * g, axis=(0, 1, 2)) - mean_v * mean_g - mean_vn * mean_gn
        k = -scale * s * s
        of_n = self._scaled(
            x, k * (r - 2 * mean_vn * mean_gn), -k * (mean_vn * mean_g + mean_gn * mean_v)
        )
        of_x = tf.add_n([of_n, k * mean_vn * g, k * mean_gn * v])
        return _never_differentiated(of_g, of_x, self.count * s * r)

    def _of_by_weights(self, p: Tensor, q: Tensor, g: Tensor, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return the slopes of p count <gn> + q count <g>, by g and x."""
        return _never_differentiated(self._scaled(x, p, q), self._kernel(g, x, p)[0])

    def _kernel(self, g: Tensor, x: Tensor, scale: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        names = ("reserve_space_1", "reserve_space_2", "reserve_space_3")
        slopes = tf.raw_ops.FusedBatchNormGradV3(
            y_backprop=g,
            x=x,
            scale=scale,
            epsilon=self.epsilon,
            **dict(zip(names, self.saved, strict=True)),
        )
        return slopes[:3]

    def _scaled(self, x: Tensor, scale: Tensor, offset: Tensor) -> Tensor:
        """Return scale * n + offset."""
        return tf.raw_ops.FusedBatchNormV3(
            x=x,
            scale=scale,
            offset=offset,
            mean=self.mean,
            variance=self.variance,
            epsilon=self.epsilon,
            is_training=False,
        )[0]


@tf.custom_gradient
def _never_differentiated(*slopes: Tensor) -> Any:
    """Return the second slopes; a third would take for constant what depends on x."""

    def refuse(*_: Tensor) -> None:
        raise NotImplementedError("batch normalisation in training is differentiated twice at most")

    return slopes, refuse
