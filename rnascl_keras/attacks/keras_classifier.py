"""A Keras model as attacks see it: logits and input gradients, compiled."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from rnascl_keras.attacks.losses import LossFunction, log_odds
from rnascl_keras.attacks.mixing import COMPARED, EACH_ALONE, depends_on, differ
from rnascl_keras.distribution.replicas import across_replicas
from rnascl_keras.errors import UserError, one_line
from rnascl_keras.models.altered import coarse_layers, whole_slopes
from rnascl_keras.models.channels_last import channels_last, takes_channels_first
from rnascl_keras.models.full_float32 import full_float32
from rnascl_keras.models.logits import check_traced, logits_of
from rnascl_keras.models.operations import called_in_training, stateful
from rnascl_keras.models.pixel_range import range_complaint

IN_INFERENCE = (
    "{} called with training=True, here in inference mode, as predict takes it; an export does not"
)


class KerasClassifier:
    """A Keras classifier in inference mode; model, loss and gradient are one compiled function.

    It reads the model's variables when it runs, so training in between is seen. Made in the scope
    of a strategy, it spreads every batch over this host's replicas. On the first images that it is
    asked about it looks whether those of a batch change each other's answers, and then asks about
    each alone.

    Args:
        model: (batch, h, w, c) in [0, 1] -> (batch, classes), seen at its logits, see `logits_of`;
            one of (batch, c, h, w) is asked so.

    Attributes:
        model: the model that gives logits, (batch, h, w, c) -> (batch, classes).
        remarks: how it differs from the model given, and what shows when it is asked, in words.

    Raises:
        UserError: the model takes whole numbers as pixels, gives probabilities otherwise than by a
            function at its end, or goes on from what it was asked before.
    """

    def __init__(self, model: keras.Model) -> None:
        found = logits_of(model)
        self.model = channels_last(found.model)
        self.remarks = found.remarks + _remarks(found.model)
        self._is_asked = False
        self._each_alone: bool | None = None
        self._batch: int | None = None
        self._strategy = tf.distribute.get_strategy()
        self._gradients: dict[LossFunction, Any] = {}
        self._traced: dict[tuple, Any] = {}
        inputs = getattr(self.model, "inputs", None)
        double = bool(inputs) and inputs[0].dtype == "float64"
        self._dtype = tf.float64 if double else tf.float32

    def logits(self, images: np.ndarray) -> np.ndarray:
        """See `Classifier.logits`; float32, of a float64 model float64."""
        return self._call(self._forward, images)[0]

    def logits_and_gradient(
        self, images: np.ndarray, loss: LossFunction, labels: np.ndarray, targets: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """See `Classifier.logits_and_gradient`."""
        if loss not in self._gradients:
            self._gradients[loss] = self._gradient_of(loss)
        logits, gradient = self._call(self._gradients[loss], images, labels, targets)
        return logits, gradient

    def _forward(self, images: tf.Tensor) -> tuple[tf.Tensor]:
        try:
            with whole_slopes(self.model):
                output = self.model(images, training=False)
        except Exception as error:  # of Keras, TensorFlow, or the model's own code
            raise UserError(
                f"the model cannot be asked about images of shape {tuple(images.shape[1:])}: "
                f"{one_line(error)}. Expected one whose `predict` takes such images."
            ) from error
        if not tf.is_tensor(output):
            raise UserError(
                f"the model gives a {type(output).__name__} of outputs; expected one tensor of "
                "logits: only classifiers can be evaluated."
            )
        return (tf.cast(output, tf.float64 if output.dtype == tf.float64 else tf.float32),)

    def _gradient_of(self, loss: LossFunction) -> Callable:
        def gradient(images: tf.Tensor, labels: tf.Tensor, targets: tf.Tensor) -> tuple:
            with tf.GradientTape(watch_accessed_variables=False) as tape:
                tape.watch(images)
                (logits,) = self._forward(images)
            _, slopes = loss(keras.ops, logits, labels, targets)
            # A stage that cannot be differentiated gives 0, which the caller sees.
            try:
                slope = tape.gradient(
                    logits,
                    images,
                    output_gradients=slopes,
                    unconnected_gradients=tf.UnconnectedGradients.ZERO,
                )
            except LookupError as error:  # TensorFlow's, of an operation that has none
                raise UserError(
                    f"the model's gradient cannot be computed ({one_line(error)}); attack it by "
                    "score: --attacks square."
                ) from error
            return logits, slope

        return gradient

    def check_gradient(self, images: np.ndarray) -> None:
        """Raise UserError where the model's gradient cannot be computed."""
        label = np.zeros(1, np.int64)
        self.logits_and_gradient(images[:1], log_odds, label, label)

    def straight_through(self) -> list[str]:
        """Return the layers that round, and whose gradient is taken as if they did not: attacks
        that follow it can be misled, so that one by score belongs beside them."""
        return coarse_layers(self.model)

    def _call(self, function: Any, images: np.ndarray, *classes: np.ndarray) -> list[np.ndarray]:
        """Call `function` on the images, all at once where that changes nothing."""
        self._check_shape(images)
        if not self._is_asked:
            self._see_whether_batches_are_of_one_size(images[:1])
        if self._each_alone is None and len(images) > 1:
            self._see_whether_images_mix(images[:COMPARED])
        step = self._batch or len(images)
        if self._each_alone:
            step = 1
        parts = [
            self._together(function, *(part[first : first + step] for part in (images, *classes)))
            for first in range(0, len(images), step)
        ]
        if len(parts) == 1:  # as nearly always: nothing is copied
            return parts[0]
        return [np.concatenate(own) for own in zip(*parts, strict=True)]

    def _see_whether_batches_are_of_one_size(self, image: np.ndarray) -> None:
        """Find out whether the size that a model gives its batches is one that it needs: a
        `Sequential` has that of the first batch that it was ever asked about."""
        inputs = getattr(self.model, "inputs", None)
        size = inputs[0].shape[0] if inputs else None
        if size is not None:
            try:
                (freely,) = self._together(self._forward, image)
            except (UserError, tf.errors.OpError):
                freely = None
            self._batch = size
            (own,) = self._together(self._forward, image)
            if freely is not None and freely.shape == own.shape and not differ(freely, own):
                self._batch = None
        self._is_asked = True

    def _see_whether_images_mix(self, images: np.ndarray) -> None:
        size = self._batch or COMPARED
        found = depends_on(lambda x: self._together(self._forward, x)[0], images[:size])
        if found == EACH_ALONE and self._batch:
            raise UserError(
                f"the model says otherwise of an image where others lie beside it in its batch of "
                f"{size}; build it for batches of any size, so that each can be asked about alone."
            )
        self._each_alone = found == EACH_ALONE
        self.remarks += [found] if found else []

    def _together(
        self, function: Any, images: np.ndarray, *classes: np.ndarray
    ) -> list[np.ndarray]:
        """Call `function` on a batch, filled up with its last row to one of a few sizes, so that
        a device meets few shapes; return its results, cut back."""
        rows = np.minimum(np.arange(self._batch or _padded(len(images))), len(images) - 1)
        compiled = self._compiled(function, images.shape[1:], len(classes))
        tensors = [tf.constant(images[rows], self._dtype)]
        tensors += [tf.constant(part[rows], tf.int64) for part in classes]
        with full_float32():
            return [result.numpy()[: len(images)] for result in compiled(*tensors)]

    def _compiled(self, function: Any, input_shape: tuple[int, ...], classes: int) -> Any:
        """Return `function` traced for batches of any size, and spread over the replicas; one of a
        single size cannot be cut into parts. It is kept, since to look it up anew costs half as
        much as a small network's pass."""
        key = function, input_shape, self._batch
        if key not in self._traced:
            specs = [tf.TensorSpec((self._batch, *input_shape), self._dtype)]
            specs += [tf.TensorSpec((self._batch,), tf.int64)] * classes
            with self._strategy.scope():
                whole = function if self._batch else across_replicas(function)
            traced = tf.function(whole, autograph=False).get_concrete_function(*specs)
            self._traced[key] = traced
            check_traced(traced.graph)
        return self._traced[key]

    def _check_shape(self, images: np.ndarray) -> None:
        expected = getattr(self.model, "input_shape", None)
        fits = expected is None or (
            len(expected) == images.ndim
            and all(e in (None, got) for e, got in zip(expected[1:], images.shape[1:], strict=True))
        )
        if not fits:
            raise UserError(
                f"the model takes images of shape {expected}, the data's are {images.shape[1:]}; "
                "give data of the model's size."
            )


def _remarks(model: keras.Model) -> list[str]:
    """Return what is to be said of a model that is taken otherwise than it is written.

    Raises:
        UserError: its answers depend on those before.
    """
    if going_on := stateful(model):
        raise UserError(
            f"layer {going_on[0]!r} is stateful: what the model says of an image depends on those "
            "that it was asked about before. Build it with stateful=False, with the same weights."
        )
    remarks = ["takes NCHW"] if takes_channels_first(model) else []
    if complaint := range_complaint(model):
        remarks.append(complaint)
    if names := called_in_training(model):
        remarks.append(IN_INFERENCE.format(", ".join(names)))
    return remarks


def _padded(size: int) -> int:
    """Return the next of 1, 2, 4, 8, 16, 24, 32, ..."""
    return next((small for small in (1, 2, 4, 8) if small >= size), -(-size // 8) * 8)
