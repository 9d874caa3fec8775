"""Trainings whose result is not the last step's weights: their average, or the best epoch's."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import keras
import tensorflow as tf

from rnascl_keras.attacks.ascent import ascend
from rnascl_keras.attacks.norms import check_epsilon
from rnascl_keras.distribution.replicas import never_empty
from rnascl_keras.errors import UserError
from rnascl_keras.method.batches import unpack_batch
from rnascl_keras.method.losses import log_odds
from rnascl_keras.method.training import TrainingModel, accuracy
from rnascl_keras.method.weight_copies import WeightAverage, WeightCopy
from rnascl_keras.models.folded_norm import Inference, folded_inference

Tensor = Any

ROBUST_ACCURACY = "robust_accuracy"
VALIDATION_STEPS = 10


class KeepsWeights(TrainingModel):
    """A `TrainingModel` that can average its weights over the steps, and keep its best epoch's.

    A subclass calls `keep_copies` at the end of its `__init__`, and `average_weights` in each step.

    Attributes:
        averaged: the average over the steps, or None.
        inference: the classifier in inference mode, as attacks within a step ask it; folded where
            there are such.
        best: the best epoch's weights, or None where none are kept; `RobustEarlyStopping` finds it.
        robust_at: radius at which validation attacks, in pixel units of [0, 1], or None.
    """

    keeps_best = True
    """Whether an epoch before the last can be the result."""

    inference: Inference
    averaged: WeightAverage | None = None
    best: WeightCopy | None = None
    robust_at: float | None = None

    def keep_copies(self, average: float, robust_at: float | None) -> None:
        """Make what `average_weights` and `keep_best` fill.

        Args:
            average: decay a step of an exponential moving average of all weights and moving
                statistics, which validation, `evaluate` and `finish` then use; 0 for none.
            robust_at: radius of the PGD under which validation looks for the best epoch, in pixel
                units of [0, 1]; None: validation is on clean images alone, and no epoch is kept.

        Raises:
            UserError: `average` is not in [0, 1), or `robust_at` no radius.
        """
        if not 0 <= average < 1:
            raise UserError(f"average must be at least 0 and below 1; got {average}.")
        attacked = robust_at is not None or getattr(self, "attack", None) is not None
        self.inference = (
            folded_inference(self.classifier)
            if attacked
            else partial(self.classifier, training=False)
        )
        self.averaged = WeightAverage(self.classifier, average) if average else None
        self.robust_at = robust_at
        if robust_at is None:
            return
        check_epsilon(robust_at)
        if self.keeps_best:
            self.best = WeightCopy(self.classifier)
        if ROBUST_ACCURACY not in [tracker.name for tracker in self.trackers]:
            self.trackers.append(keras.metrics.Mean(name=ROBUST_ACCURACY))

    def average_weights(self) -> None:
        """Take a step's weights into the average, where there is one; traceable."""
        if self.averaged:
            self.averaged.update()

    def test_step(self, data: Any) -> dict[str, Tensor]:
        """Cross-entropy and accuracy on clean images, and with `robust_at` accuracy under PGD."""
        logs = super().test_step(data)
        if self.robust_at is None:
            return logs
        images, labels = unpack_batch(data, self.classes)
        shown, classes = never_empty(images, labels)
        adversarial = ascend(
            lambda x: log_odds(classes, self.inference(x)),
            shown,
            shown,
            epsilon=self.robust_at,
            step_size=self.robust_at / 4,
            steps=VALIDATION_STEPS,
        )
        robust = accuracy(classes, self.classifier(tf.stop_gradient(adversarial), training=False))
        return logs | self.record({ROBUST_ACCURACY: robust}, labels)

    def evaluate(self, *args: Any, **kwargs: Any) -> Any:
        """As `keras.Model.evaluate`, on the averaged weights where there are such."""
        with self._averaged_weights():
            return super().evaluate(*args, **kwargs)

    def keep_best(self, robust_accuracy: float, epoch: int) -> bool:
        """Keep the weights that validation has just seen if none before were better.

        Of equal ones the last are kept: at a lower rate of learning, and mostly of the higher clean
        accuracy. That goes by the score alone, which a checkpoint holds, so a training that was cut
        short decides alike.
        """
        if self.best is None or robust_accuracy < float(self.best.score.numpy()):
            return False
        with self._averaged_weights():
            self.best.take(robust_accuracy, epoch)
        return True

    def finish(self) -> None:
        """Put the best epoch's weights into the classifier, or if none is kept the averaged ones.

        To be called once `fit` is done. The average goes on from there, so that `evaluate` tells
        of the weights that the classifier then has.
        """
        if self.best is not None and self.best.epoch.numpy() >= 0:
            self.best.put()
            if self.averaged:
                self.averaged.follow()
        elif self.averaged:
            self.averaged.put()

    @contextmanager
    def _averaged_weights(self) -> Iterator[None]:
        if not self.averaged:
            yield
            return
        self.averaged.swap()
        try:
            yield
        finally:
            self.averaged.swap()
