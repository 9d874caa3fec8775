"""What a training step does differently where the batch is spread over several replicas.

Each replica computes the mean over its own images; gradients are summed. So a replica's loss is
weighted by its share of the global batch, and the sum is the gradient of the global mean.
On one replica nothing here changes a bit.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import keras
import tensorflow as tf

from rnascl_keras.distribution.workers import worker_count

Tensor = Any


def replica_count() -> int:
    """Return how many replicas share the batch, as seen by one of them."""
    return tf.distribute.get_replica_context().num_replicas_in_sync


def batch_share(labels: Tensor) -> Tensor | float | None:
    """Return the part of the global batch that this replica's `labels`, (batch,), are; None where
    there is but one replica.

    Where the batch's size is static, all replicas have the same; else they ask one another.
    """
    context = tf.distribute.get_replica_context()
    if context.num_replicas_in_sync == 1:
        return None
    if labels.shape[0] is not None:
        return 1.0 / context.num_replicas_in_sync
    size = tf.cast(tf.shape(labels)[0], keras.config.floatx())
    return size / context.all_reduce(tf.distribute.ReduceOp.SUM, size)


def never_empty(images: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
    """Return a batch as it is, or one black image of class 0 in place of none.

    A replica can be left without images of a short last batch, of which layers make errors and
    means NaN; it is to be weighted by the true number.

    Args:
        images: (b, h, w, c).
        labels: (b,).
    """
    if replica_count() == 1 or labels.shape[0] is not None:
        return images, labels
    missing: Any = tf.cast(tf.equal(tf.shape(labels)[0], 0), tf.int32)
    return tf.pad(images, [[0, missing], [0, 0], [0, 0], [0, 0]]), tf.pad(labels, [[0, missing]])


def draw_for_images(draw: Callable[[Tensor], Tensor], images: Tensor) -> Tensor:
    """Return random numbers of the shape of `images`, (b, h, w, c), other ones on every replica.

    All replicas have the same random state. Each draws for the global batch and takes its own
    images': of k replicas, number r has the images r, r + k, ... (see `data.Share`), so k replicas
    draw for an image what one would.

    Args:
        draw: shape -> random numbers.
        images: of this replica.
    """
    context = tf.distribute.get_replica_context()
    replicas = context.num_replicas_in_sync
    shape: Any = tf.shape(images)
    if replicas == 1:
        return draw(shape)
    everyone = draw(tf.concat([[shape[0] * replicas], shape[1:]], 0))
    # (b * replicas, h, w, c) -> (b, replicas, h, w, c) -> (b, h, w, c)
    hands = tf.reshape(everyone, tf.concat([[shape[0], replicas], shape[1:]], 0))
    return tf.gather(hands, context.replica_id_in_sync_group, axis=1)


def of_all_replicas(values: Tensor) -> Tensor:
    """Return the values of the global batch, of which this replica has `values`, (batch, ...)."""
    context = tf.distribute.get_replica_context()
    if context.num_replicas_in_sync == 1:
        return values
    return context.all_gather(values, axis=0)


def apply_gradients(
    optimizer: Any, gradients: Sequence[Tensor | None], variables: Sequence[Any]
) -> None:
    """Move variables down the gradient of the global batch, of which every replica has its part.

    Keras clips each replica's part and adds up afterwards, which bounds another vector than the
    gradient; and where the loss is scaled, it asks the first replica's part alone whether it is
    finite. Such an optimizer is given a k-th of the whole gradient, clipped, by all k replicas.
    """
    replicas = replica_count()
    inner = getattr(optimizer, "inner_optimizer", optimizer)  # of one that scales the loss
    clips = any((inner.clipnorm, inner.global_clipnorm, inner.clipvalue))
    if replicas > 1 and (clips or inner is not optimizer):
        pairs = [(g, v) for g, v in zip(gradients, variables, strict=True) if g is not None]
        gradients, variables = [g for g, _ in pairs], [v for _, v in pairs]
        context = tf.distribute.get_replica_context()
        whole = context.all_reduce(tf.distribute.ReduceOp.SUM, gradients)
        if clips:
            whole = _clipped(inner, whole, getattr(optimizer, "dynamic_scale", 1.0))
        gradients = [g / replicas for g in whole]
    optimizer.apply(gradients, variables)


def _clipped(optimizer: Any, gradients: Sequence[Tensor], scale: Tensor | float) -> list[Tensor]:
    """Return gradients of a loss times `scale`, clipped as the optimizer does without that; what is
    not finite stays so, for that is how the scale is found."""
    scales = [tf.cast(scale, g.dtype) for g in gradients]
    clipped = optimizer._clip_gradients([g / s for g, s in zip(gradients, scales, strict=True)])
    return [
        tf.where(tf.math.is_finite(g), c * s, g)
        for g, c, s in zip(gradients, clipped, scales, strict=True)
    ]


def moving_statistics(model: keras.Model) -> list[Any]:
    """Return the moving means and variances of a model's batch normalisations."""
    return [v for x in _normalizations(model) for v in (x.moving_mean, x.moving_variance)]


def share_statistics(variables: Sequence[Any]) -> None:
    """Give every replica the mean of all replicas' moving statistics.

    Keras lets each keep its own, and saves those of the first. It is linear, so the mean after a
    step is that of all the batches' means, and of their variances.
    """
    context = tf.distribute.get_replica_context()
    if context.num_replicas_in_sync == 1 or not variables:
        return
    # All in one vector, (channels of all layers,): one exchange
    together = tf.concat([tf.convert_to_tensor(v.value) for v in variables], 0)
    means = context.all_reduce(tf.distribute.ReduceOp.MEAN, together)
    sizes = [v.shape[0] for v in variables]
    for variable, mean in zip(variables, tf.split(means, sizes), strict=True):
        variable.assign(mean)


@contextmanager
def synchronized_batch_norm(model: keras.Model, wanted: bool) -> Iterator[None]:
    """Where `wanted`, let batch normalisation see the global batch, not each replica its own."""
    layers = _normalizations(model)
    before = [layer.synchronized for layer in layers]
    for layer in layers:
        layer.synchronized = layer.synchronized or wanted
    try:
        yield
    finally:
        for layer, value in zip(layers, before, strict=True):
            layer.synchronized = value


def _normalizations(model: keras.Model) -> list[keras.layers.BatchNormalization]:
    layers = model._flatten_layers()
    return [layer for layer in layers if isinstance(layer, keras.layers.BatchNormalization)]


def across_replicas(function: Callable[..., Sequence[Tensor]]) -> Callable[..., Sequence[Tensor]]:
    """Return `function` of a batch, each replica of this host computing a part of it.

    Args:
        function: tensors of (batch, ...) -> tensors of (batch, ...), every row by itself.
    """
    strategy = tf.distribute.get_strategy()
    replicas = strategy.num_replicas_in_sync // worker_count(strategy)
    if replicas == 1:
        return function

    def spread(*tensors: Tensor) -> list[Tensor]:
        asked = tf.shape(tensors[0])[0]
        size = tf.maximum(asked, replicas)  # the last one again, so that no replica is left without
        rows = tf.minimum(tf.range(size), asked - 1)
        filled = [tf.gather(tensor, rows) for tensor in tensors]

        def part() -> Sequence[Tensor]:
            own = tf.distribute.get_replica_context().replica_id_in_sync_group % replicas
            first, last = own * size // replicas, (own + 1) * size // replicas
            return function(*(tensor[first:last] for tensor in filled))

        parts = [strategy.experimental_local_results(x) for x in strategy.run(part)]
        return [tf.concat(results, 0)[:asked] for results in parts]

    return spread
