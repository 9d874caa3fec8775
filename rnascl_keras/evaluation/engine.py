"""What computes a Keras model that is evaluated: Keras itself, or onnxruntime on its export.

On a CPU attacks by onnxruntime take less time. What is measured is then the exported graph, so it
has to agree with the model first, in logits and in gradients, on images that are measured on.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from rnascl_keras.attacks.losses import margin
from rnascl_keras.errors import UserError, one_line

ENGINES = ("keras", "onnxruntime")
COMPARED = 32
"""Images, the first ones, on which the two are compared."""
LOGITS, GRADIENTS = 1e-4, 1e-2
"""Largest differences allowed, relative to the largest logit, of at least 1, and to the length of
an image's gradient."""
TURNED = 0.1
"""Largest share of images whose gradient may differ by more, up to its own length: such a one has
a unit so near its threshold that rounding, also that of the pixels, turns it on or off."""


@dataclass(frozen=True)
class Engine:
    """What computed.

    Attributes:
        name: one of `ENGINES`.
        logits: largest difference of a logit from Keras' own; None where Keras computed.
        gradients: largest length of the difference of an image's gradient from Keras', over the
            length of that; of the margin, which no softmax lets vanish.
    """

    name: str
    logits: float | None = None
    gradients: float | None = None

    @property
    def in_words(self) -> str:
        """What the differences are, in a sentence."""
        return (
            f"{self.name} computes; on the first images its logits differ from Keras' by at most "
            f"{self.logits:.2g}, its gradients by {self.gradients:.2g} of their length."
        )


@contextmanager
def on_onnxruntime(
    classifier: Any, images: np.ndarray, labels: np.ndarray
) -> Iterator[tuple[Any, Engine]]:
    """Yield a Keras classifier's export, as a classifier in onnxruntime, and how they agree.

    Args:
        classifier: a `KerasClassifier`.
        images, labels: (n, h, w, c) in [0, 1] and (n,), those to compare on.

    Raises:
        UserError: the model cannot be exported, or its export does not compute the same; what to do
            then is left to whoever asked.
    """
    from rnascl_keras.export.convert import check_exportable, write_onnx
    from rnascl_keras.export.onnx_classifier import OnnxClassifier

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.onnx"
        try:
            check_exportable(classifier.model)
            write_onnx(classifier.model, path)
            exported = OnnxClassifier(path)
        except Exception as error:  # of the converter, which has no error of its own
            raise _refused(error) from error
        try:
            engine = compared(classifier, exported, images, labels)
        except UserError as error:
            raise _refused(error) from error
        yield exported, engine


def _refused(error: Exception) -> UserError:
    return UserError(f"onnxruntime cannot take this model: {one_line(error).rstrip('.')}")


def compared(classifier: Any, exported: Any, images: np.ndarray, labels: np.ndarray) -> Engine:
    """Return how the logits and gradients of two classifiers agree.

    Raises:
        UserError: they do not, or a logit or a gradient is not finite.
    """
    both = [
        one.logits_and_gradient(images, margin, labels, labels) for one in (classifier, exported)
    ]
    (expected, slopes), (logits, other) = both
    alone = exported.logits(images)  # another graph than the one with the gradient
    apart = float(np.max(np.abs([logits - expected, alone - expected])))
    # (n, h, w, c) -> (n,)
    change, length = (np.sqrt(np.sum(g**2.0, axis=(1, 2, 3))) for g in (other - slopes, slopes))
    turned = change / np.maximum(length, np.finfo(np.float32).tiny)
    largest = max(1.0, float(np.abs(expected).max()))
    near = np.max(turned) <= 1 and np.mean(turned > GRADIENTS) <= TURNED
    if not (apart <= LOGITS * largest and near):  # so NaN fails too
        raise UserError(
            f"on {len(images)} images its export's logits differ by up to {apart:.2g} (allowed "
            f"{LOGITS * largest:.2g}), its gradients by up to {turned.max():.2g} of their length "
            f"(allowed {GRADIENTS:g} of nine images in ten)"
        )
    return Engine("onnxruntime", apart, float(turned.max()))
