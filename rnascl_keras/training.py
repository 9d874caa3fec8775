"""What the models that train another model share: the step, the named losses, their checks."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import keras
import tensorflow as tf

from rnascl_keras import losses
from rnascl_keras.errors import UserError

Tensor = Any


class TrainingModel(keras.Model):
    """A `keras.Model` whose steps train `classifier` and report their losses by name.

    Args:
        classifier: images -> logits.
        parts: names of the scalars that a step reports, averaged over the epoch.
        name: of the model.
    """

    def __init__(self, classifier: keras.Model, parts: Sequence[str], name: str) -> None:
        super().__init__(name=name)
        self.classifier = classifier
        self.trackers = [keras.metrics.Mean(name=part) for part in parts]
        self.built = True

    @property
    def classes(self) -> int:
        """Number of classes."""
        return self.classifier.output_shape[-1]

    @property
    def weight_variables(self) -> list[Any]:
        """What `optimizer` updates."""
        return self.classifier.trainable_variables

    def compile(self, optimizer: Any = "sgd", **kwargs: Any) -> None:
        """As `keras.Model.compile`; the losses are the model's own.

        The optimizer is built at once: a checkpoint can only be restored into one that is.
        """
        super().compile(optimizer=optimizer, **kwargs)
        self.optimizer.build(self.weight_variables)

    def call(self, images: Tensor, training: bool = False) -> Tensor:
        """Return the classifier's logits, (batch, classes)."""
        return self.classifier(images, training=training)

    def test_step(self, data: Any) -> dict[str, Tensor]:
        """Cross-entropy and accuracy on clean images."""
        images, labels = unpack_batch(data, self.classes)
        logits = self.classifier(images, training=False)
        loss = tf.reduce_mean(losses.cross_entropy(labels, logits))
        return self.record({"loss": loss, "accuracy": accuracy(labels, logits)}, labels)

    def record(self, parts: dict[str, Tensor], labels: Tensor) -> dict[str, Tensor]:
        """Add a batch's means to the epoch's, weighted by its size, and return the means so far."""
        size = tf.shape(labels)[0]
        logs = {}
        for tracker in self.trackers:
            if tracker.name in parts:
                tracker.update_state(parts[tracker.name], sample_weight=size)
                logs[tracker.name] = tracker.result()
        return logs


def accuracy(labels: Tensor, logits: Tensor) -> Tensor:
    """Return the part of the batch that is classified rightly, a scalar."""
    predictions = tf.argmax(logits, axis=-1, output_type=labels.dtype)
    return tf.reduce_mean(tf.cast(predictions == labels, tf.float32))


def descend(
    objective: Callable[[], tuple[Tensor, dict[str, Tensor]]],
    variables: Sequence[Any],
    optimizer: keras.optimizers.Optimizer,
) -> dict[str, Tensor]:
    """Compute (loss, named parts), move `variables` down the loss's gradient, return the parts.

    The loss is scaled where the optimizer does so (float16). No other variable moves.
    """
    with tf.GradientTape() as tape:
        loss, parts = objective()
        scaled = optimizer.scale_loss(loss)
    optimizer.apply(tape.gradient(scaled, variables), variables)
    return parts


def unpack_batch(data: Any, classes: int) -> tuple[Tensor, Tensor]:
    """Return images and class indices (batch,) of what `fit` hands to a step.

    Raises:
        UserError: sample weights are given, or labels are not class indices.
    """
    images, labels, sample_weight = keras.utils.unpack_x_y_sample_weight(data)
    if labels is None or sample_weight is not None:
        raise UserError("the data must give (images, labels) pairs, without sample weights.")
    labels = tf.convert_to_tensor(labels)
    if labels.shape.rank == 2 and labels.shape[1] == 1:
        labels = labels[:, 0]
    if labels.shape.rank != 1 or not labels.dtype.is_integer:
        raise UserError(
            f"labels must be integer class indices of shape (batch,), 0 to {classes - 1}; got "
            f"{labels.dtype.name} of shape {labels.shape}; turn one-hot labels with np.argmax."
        )
    return tf.convert_to_tensor(images), labels
