"""What the models that train another model share: the step, the named losses, their checks."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import keras
import tensorflow as tf

from rnascl_keras.distribution.distributed_model import DistributedModel
from rnascl_keras.distribution.replicas import (
    batch_share,
    moving_statistics,
    never_empty,
    share_statistics,
)
from rnascl_keras.errors import UserError
from rnascl_keras.method import losses
from rnascl_keras.models.ending import is_functional
from rnascl_keras.models.logits import logits_model

Tensor = Any

FAULT = "the data do not fit: "
EMPTY_REPLICA = (
    "a batch has fewer images than there are replicas, so one would train on none; give larger "
    "batches, and drop a short last one"
)
NOT_SAVED = (
    "is not saved whole, for what it trains under is no part of it; save what it trains, "
    "`.classifier.save(FILE)`, or its weights alone, `ModelCheckpoint(FILE.weights.h5, "
    "save_weights_only=True)`; `rnascl_keras.Checkpoint` keeps all that a training goes on from."
)


class TrainingModel(DistributedModel):
    """A `keras.Model` whose steps train `classifier` and report their losses by name.

    Made and compiled in the scope of a `tf.distribute.Strategy`, it trains under that.

    Args:
        classifier: a built functional or Sequential model, one input, one output. What is trained
            are its logits, see `logits_of`, on its own weights.
        parts: names of the scalars that a step reports, averaged over the epoch.
        name: of the model.

    Attributes:
        classifier: the model of the logits; the one given where it gives them.

    Raises:
        UserError: it is no such model, or gives no logits.
    """

    def __init__(self, classifier: keras.Model, parts: Sequence[str], name: str) -> None:
        super().__init__(name=name)
        if not is_functional(classifier):
            raise UserError(
                f"model {classifier.name!r} cannot be trained: expected a built functional or "
                "Sequential keras.Model with one input and one output; rewrite a subclassed model "
                "as one of them."
            )
        self.classifier = logits_model(classifier)
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

    def fit(self, *args: Any, **kwargs: Any) -> keras.callbacks.History:
        """As `keras.Model.fit`.

        Raises:
            UserError: labels are out of range, or pixels are not in [0, 1].
        """
        with _told_plainly():
            return super().fit(*args, **kwargs)

    def evaluate(self, *args: Any, **kwargs: Any) -> Any:
        """As `keras.Model.evaluate`; raises as `fit`."""
        with _told_plainly():
            return super().evaluate(*args, **kwargs)

    def call(self, images: Tensor, training: bool = False) -> Tensor:
        """Return the classifier's logits, (batch, classes)."""
        return self.classifier(images, training=training)

    def test_step(self, data: Any) -> dict[str, Tensor]:
        """Cross-entropy and accuracy on clean images."""
        images, labels = unpack_batch(data, self.classes)
        shown, classes = never_empty(images, labels)
        logits = self.classifier(shown, training=False)
        loss = tf.reduce_mean(losses.cross_entropy(classes, logits))
        return self.record({"loss": loss, "accuracy": accuracy(classes, logits)}, labels)

    def get_config(self) -> dict[str, Any]:
        """Refuse: a teacher, which may be a cache on disk, is no part of the model.

        Its weights are not among the model's, so a file with this configuration would come back
        with a teacher that has learned nothing.

        Raises:
            UserError: always; it says what to save instead.
        """
        raise UserError(f"a {type(self).__name__} {NOT_SAVED}")

    @classmethod
    def from_config(cls, config: dict[str, Any], custom_objects: Any = None) -> TrainingModel:
        """Refuse, as `get_config`.

        Raises:
            UserError: always.
        """
        raise UserError(f"a {cls.__name__} {NOT_SAVED}")

    def penalties(self, weight_decay: float) -> Tensor:
        """Return what is added to a step's loss besides what it reports, a scalar.

        These are the coupled L2 term, see `losses.l2_penalty`, and the classifier's own losses: of
        its weights' regularizers, and what its layers added (`add_loss`, activity regularizers) in
        the last pass before this call. To be called inside the tape, after that pass.

        Args:
            weight_decay: rate of the L2 term.
        """
        total = losses.l2_penalty(self.weight_variables, weight_decay)
        for loss in self.classifier.losses:
            total += tf.reduce_sum(tf.cast(loss, total.dtype))
        return total

    def share_statistics(self) -> None:
        """Give all replicas the same moving statistics; to be called at the end of a step."""
        share_statistics(moving_statistics(self.classifier))

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
    labels: Tensor,
) -> dict[str, Tensor]:
    """Compute (loss, named parts), move `variables` down the loss's gradient, return the parts.

    The loss is the mean over the images whose `labels`, (batch,), are given: with several replicas
    it counts as much as they are of the global batch. It is scaled where the optimizer does so
    (float16). No other variable moves.
    """
    share = batch_share(labels)
    if share is not None and tf.is_tensor(share):  # of a batch whose size is not known before
        share = require(share > 0, EMPTY_REPLICA, share)
    with tf.GradientTape() as tape:
        loss, parts = objective()
        scaled = optimizer.scale_loss(loss if share is None else loss * share)
    optimizer.apply(tape.gradient(scaled, variables), variables)
    return parts


def unpack_batch(data: Any, classes: int) -> tuple[Tensor, Tensor]:
    """Return images and class indices (batch,) of what `fit` hands to a step.

    The images may come in a dict with what a teacher says on them, see `TeacherCache`.

    Pixels and labels are looked at when the step runs (not under XLA, which drops the check): a
    label out of range would have a cross-entropy of 0, and an attack on 0 to 255 would be nothing.

    Raises:
        UserError: sample weights are given, or labels are not class indices.
    """
    inputs, labels, sample_weight = keras.utils.unpack_x_y_sample_weight(data)
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
    if isinstance(inputs, dict) and "images" not in inputs:
        raise UserError(f"a batch that is a dict must hold 'images'; got {', '.join(inputs)}.")
    images = tf.convert_to_tensor(inputs["images"] if isinstance(inputs, dict) else inputs)
    in_range = (tf.reduce_min(images) >= 0) & (tf.reduce_max(images) <= 1)
    images = require(in_range, "pixels must lie between 0 and 1, so divide 0 to 255 by 255", images)
    known = (tf.reduce_min(labels) >= 0) & (tf.reduce_max(labels) < classes)
    return images, require(known, f"labels must be 0 to {classes - 1}", labels)


def require(condition: Tensor, fault: str, tensor: Tensor) -> Tensor:
    """Return `tensor` where `condition` holds; else `fit` raises UserError, which says `fault`."""
    with tf.control_dependencies([tf.debugging.Assert(condition, [f"{FAULT}{fault}."])]):
        return tf.identity(tensor)


@contextmanager
def _told_plainly() -> Iterator[None]:
    """Turn the failure of a `require` inside a compiled step into a UserError of one line."""
    try:
        yield
    except tf.errors.InvalidArgumentError as error:
        fault = re.search(re.escape(FAULT) + r"[^.]*\.", str(error))
        if fault is None:
            raise
        raise UserError(fault[0]) from error
