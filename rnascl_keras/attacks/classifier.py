"""What attacks ask of a model, and asking it in batches."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from rnascl_keras.attacks.losses import LossFunction
from rnascl_keras.attacks.norms import PIXELS
from rnascl_keras.errors import ModelFailed, UserError


class Classifier(Protocol):
    """Any model that can be attacked. Black-box attacks ask for `logits` alone.

    With NumPy, where `forward` and `backward` are the model's own passes, the second method is::

        def logits_and_gradient(self, images, loss, labels, targets):
            logits = self.forward(images)
            _, slopes = loss(np, logits, labels, targets)
            return logits, self.backward(slopes)
    """

    def logits(self, images: np.ndarray) -> np.ndarray:
        """(batch, h, w, c) in [0, 1] -> (batch, classes), in inference mode."""
        ...

    def logits_and_gradient(
        self, images: np.ndarray, loss: LossFunction, labels: np.ndarray, targets: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return the logits, (batch, classes), and the gradient of every image's own loss by its
        pixels, (batch, h, w, c). `loss`, `labels` and `targets` are as in `losses`."""
        ...


def as_classifier(model: Any) -> Classifier:
    """Return `model` itself where it gives logits; a Keras model is wrapped, and compiled anew: to
    attack one several times, wrap it once as a `KerasClassifier`.

    Raises:
        UserError: it is neither.
    """
    keras = sys.modules.get("keras")
    if keras is not None and isinstance(model, keras.Model):
        from rnascl_keras.attacks.keras_classifier import KerasClassifier

        return KerasClassifier(model)
    if not callable(getattr(model, "logits", None)):
        raise UserError(
            f"a {type(model).__name__} cannot be attacked; expected a Keras model, or an object "
            "with the method logits(images)."
        )
    return model


@dataclass(frozen=True)
class Batched:
    """A classifier asked for any number of images but none, `batch_size` at a time."""

    classifier: Classifier
    batch_size: int

    def logits(self, images: np.ndarray) -> np.ndarray:
        """See `Classifier.logits`."""
        parts = []
        for rows in self._batches(images):
            try:
                parts.append(np.asarray(self.classifier.logits(images[rows])))
            except ModelFailed as error:
                raise error.on(rows.start, min(rows.stop, len(images)) - 1) from error
        return np.concatenate(parts)

    def logits_and_gradient(
        self, images: np.ndarray, loss: LossFunction, labels: np.ndarray, targets: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """See `Classifier.logits_and_gradient`; what is undefined in a gradient becomes 0, and what
        is infinite as large as the image's largest finite value."""
        logits, gradients = [], np.empty_like(images)
        for rows in self._batches(images):
            part, gradient = self.classifier.logits_and_gradient(
                images[rows], loss, labels[rows], targets[rows]
            )
            logits.append(np.asarray(part))
            gradients[rows] = gradient
            if not _are_finite(gradients[rows]):
                gradients[rows] = _finite(gradient)
        return np.concatenate(logits), gradients

    def _batches(self, images: np.ndarray) -> Iterator[slice]:
        for first in range(0, len(images), self.batch_size):
            yield slice(first, first + self.batch_size)


def _are_finite(values: np.ndarray) -> bool:
    """Return whether the sum of all values is finite, and so each of them: one fast pass. Of finite
    values, too, it can overflow."""
    with np.errstate(over="ignore", invalid="ignore"):
        return bool(np.isfinite(values.sum()))


def _finite(gradient: np.ndarray) -> np.ndarray:
    """Return a gradient, (b, h, w, c), that can be followed. The slope of a root or of a logarithm
    is infinite where a pixel is 0, as black ones are before a gamma correction; it has a sign."""
    sizes = np.where(np.isfinite(gradient), np.abs(gradient), 0)
    largest = sizes.max(axis=PIXELS, keepdims=True)
    largest = np.where(largest > 0, largest, 1)
    return np.where(np.isnan(gradient), 0, np.clip(gradient, -largest, largest))


def gives_gradients(classifier: Any) -> bool:
    """Return whether attacks that follow gradients can be used."""
    return callable(getattr(_bare(classifier), "logits_and_gradient", None))


def any_follows_gradient(attacks: Iterable[Any]) -> bool:
    """Return whether one of the attacks follows a gradient; one that does not say so, does."""
    return any(getattr(attack, "follows_gradient", True) for attack in attacks)


def gradient_complaint(classifier: Any, images: np.ndarray) -> str | None:
    """Return why attacks that follow gradients cannot be used, None where they can.

    A classifier whose gradient is made when it is first asked for has a method
    `check_gradient(images)`, which raises UserError where there is none.
    """
    if not gives_gradients(classifier):
        return (
            f"a {type(_bare(classifier)).__name__} has no logits_and_gradient, which attacks such "
            "as pgd follow; attack it with square, which needs logits only."
        )
    check = getattr(_bare(classifier), "check_gradient", None)
    try:
        if check:
            check(images)
    except UserError as error:
        return str(error)
    return None


def check_can_be_attacked(classifier: Any, key: str, follows_gradient: bool) -> None:
    """Raise UserError where an attack that follows gradients meets a model that has none."""
    if follows_gradient and not gives_gradients(classifier):
        raise UserError(
            f"{key} follows the model's gradient, which a {type(_bare(classifier)).__name__} does "
            "not give; attack it with square, which needs logits only."
        )


def _bare(classifier: Any) -> Any:
    return classifier.classifier if isinstance(classifier, Batched) else classifier
