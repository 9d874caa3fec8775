"""What the models that train another model share: the step, the named losses, their checks."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import wraps
from typing import Any

import keras
import tensorflow as tf

from rnascl_keras.distribution.distributed_model import DistributedModel
from rnascl_keras.distribution.replicas import (
    apply_gradients,
    batch_share,
    moving_statistics,
    never_empty,
    share_statistics,
)
from rnascl_keras.errors import UserError
from rnascl_keras.method import losses
from rnascl_keras.method.batches import check_batch, told_plainly, unpack_batch
from rnascl_keras.method.callback_lists import listed
from rnascl_keras.models.altered import check_plain
from rnascl_keras.models.classifiers import check_classifier
from rnascl_keras.models.fused_batch_norm import fuse_batch_norm
from rnascl_keras.models.logits import logits_model

Tensor = Any

OWN_LOSSES = ("loss", "loss_weights", "metrics", "weighted_metrics")
NEVER_CALLED = ("compute_loss", "compute_metrics")
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
        UserError: `classifier` is none, or gives no logits; or a subclass overrides what is never
            called.
    """

    smallest_batch = 1
    """Images that a replica needs to be trained on."""

    def __dir__(self) -> list[str]:
        # Keras saves and loads the weights of whatever is listed here
        return [name for name in super().__dir__() if name != "teacher"]

    def __init__(self, classifier: keras.Model, parts: Sequence[str], name: str) -> None:
        super().__init__(name=name)
        self._check_overrides()
        role = f"the model that a {type(self).__name__} trains"
        check_classifier(classifier, role)
        check_plain(classifier, role, "trained", factors_train=True)
        self.classifier = logits_model(classifier)
        fuse_batch_norm(self.classifier)
        self.trackers = [keras.metrics.Mean(name=part) for part in parts]
        self.built = True

    @property
    def metrics(self) -> list[keras.Metric]:
        """Those that `evaluate` gives, in their order: without Keras' own "loss", given twice."""
        every = super().metrics
        return [metric for metric in every if metric in self.trackers or metric.name != "loss"]

    @property
    def classes(self) -> int:
        """Number of classes."""
        return self.classifier.output_shape[-1]

    @property
    def network(self) -> keras.Model:
        """What a step runs, with the heads that only training has."""
        return self.classifier

    @property
    def weight_variables(self) -> list[Any]:
        """What `optimizer` updates."""
        return self.classifier.trainable_variables

    def compile(self, optimizer: Any = "sgd", **kwargs: Any) -> None:
        """As `keras.Model.compile`; the losses are the model's own.

        The optimizer is built at once: a checkpoint can only be restored into one that is.

        Raises:
            UserError: losses or metrics are given.
        """
        for given in OWN_LOSSES:
            if kwargs.get(given) is not None:
                raise UserError(
                    f"{given}= is given, but a {type(self).__name__} has its own losses and "
                    f"reports {', '.join(x.name for x in self.trackers)}; leave it out. For other "
                    "metrics compile and evaluate `.classifier`, which is what it trains."
                )
        super().compile(optimizer=optimizer, **kwargs)
        self.optimizer.build(self.weight_variables)

    def fit(self, *args: Any, callbacks: Any = None, **kwargs: Any) -> keras.callbacks.History:
        """As `keras.Model.fit`.

        Raises:
            UserError: labels are out of range, pixels are not in [0, 1], or a `ModelCheckpoint`
                would save the whole model.
        """
        for callback in listed(callbacks):
            if isinstance(callback, keras.callbacks.ModelCheckpoint):
                self._check_saves_weights(callback)
        return super().fit(*args, callbacks=callbacks, **kwargs)

    def batch_checks(self, data: Any, training: bool) -> list[Any]:
        """Return the assertions that a replica's part of a batch has to pass before a step."""
        return check_batch(data, self.classes, self.smallest_batch if training else 0)

    def _make_function(self, step_function: Callable[[Any], dict]) -> Callable[[Any], dict]:
        function = super()._make_function(step_function)

        @wraps(function)
        def plain(iterator: Any) -> dict:
            with told_plainly():
                return function(iterator)

        return plain

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

    def _check_overrides(self) -> None:
        """Raise UserError where a subclass overrides what the steps of this class never ask."""
        asked = "loss_parts" if hasattr(self, "loss_parts") else "train_step"
        for name in NEVER_CALLED:
            if getattr(type(self), name) is not getattr(keras.Model, name):
                raise UserError(
                    f"{type(self).__name__}.{name} would never be called; override `{asked}`, "
                    "which gives the loss and what is reported, instead."
                )

    def _check_saves_weights(self, callback: keras.callbacks.ModelCheckpoint) -> None:
        if not callback.save_weights_only:
            raise UserError(f"a {type(self).__name__} {NOT_SAVED}")

    def share_statistics(self) -> None:
        """Give all replicas the same moving statistics; to be called at the end of a step."""
        share_statistics(moving_statistics(self.network))

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
    gradients, parts = gradients_of(objective, variables, optimizer, labels)
    apply_gradients(optimizer, gradients, variables)
    return parts


def gradients_of(
    objective: Callable[[], tuple[Tensor, dict[str, Tensor]]],
    variables: Sequence[Any],
    optimizer: keras.optimizers.Optimizer,
    labels: Tensor,
) -> tuple[list[Tensor], dict[str, Tensor]]:
    """Return the gradients by `variables` that `optimizer` is to apply, and the named parts; see
    `descend`."""
    share = batch_share(labels)
    with tf.GradientTape() as tape:
        loss, parts = objective()
        scaled = optimizer.scale_loss(loss if share is None else loss * share)
    return tape.gradient(scaled, variables), parts
