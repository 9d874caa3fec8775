"""Does an exported file compute what its Keras model computes?"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from rnascl_keras.errors import UserError
from rnascl_keras.export.saved_model_path import without_wildcards

if TYPE_CHECKING:
    import keras

LEAST_AGREEMENT = 0.999
USUAL_LOGIT = 10.0
"""Up to it the tolerance is absolute, above it relative, as float32's rounding is."""
BATCH_SIZE = 128


class ExportError(RuntimeError):
    """An exported file does not compute what its Keras model computes; nothing was kept."""


def keras_logits(model: keras.Model, images: np.ndarray) -> np.ndarray:
    """Return the logits (n, classes) of `images` (n, h, w, c), in inference mode.

    Raises:
        UserError: some are not finite.
    """
    logits = np.concatenate(
        [np.asarray(model(batch, training=False)) for batch in _batches(images)]
    )
    if not np.isfinite(logits).all():
        raise UserError(
            f"Model {model.name!r} gives logits that are not finite; it cannot be exported. Train "
            "it again, with a lower learning rate if it diverged."
        )
    return logits


def saved_model_logits(path: Path, images: np.ndarray) -> np.ndarray:
    """Return the logits (n, classes) that a SavedModel's `serving_default` gives."""
    import tensorflow as tf

    with without_wildcards(path) as plain:
        # the loaded object owns the signature's variables: keep it while the signature is used
        loaded = tf.saved_model.load(str(plain))
        signature = loaded.signatures["serving_default"]
        return np.concatenate(
            [signature(images=tf.constant(batch))["logits"].numpy() for batch in _batches(images)]
        )


def check_logits(
    file: Path, given: np.ndarray, expected: np.ndarray, tolerance: float
) -> tuple[float, float]:
    """Compare the logits that `file` gives with its model's, both (n, classes).

    Returns:
        The largest absolute difference, and the share of images that get the same class.

    Raises:
        ExportError: the difference exceeds `tolerance`, which is that of logits up to 10 and grows
            with larger ones, or the share is below 99.9 %.
    """
    if given.shape != expected.shape:
        raise ExportError(
            f"{file.name} gives logits of shape {given.shape}, its Keras model {expected.shape}."
        )
    difference = float(np.abs(given - expected).max())
    agreement = float((given.argmax(axis=-1) == expected.argmax(axis=-1)).mean())
    allowed = tolerance * max(1.0, float(np.abs(expected).max()) / USUAL_LOGIT)
    # written so that NaN fails too
    if not (difference <= allowed and agreement >= LEAST_AGREEMENT):
        raise ExportError(
            f"{file.name} differs from its Keras model on {len(expected)} images: largest "
            f"difference of a logit {difference:.2g} (allowed {allowed:.2g}), same class on "
            f"{agreement:.2%} (asked for {LEAST_AGREEMENT:.1%}). It was not kept."
        )
    return difference, agreement


def _batches(images: np.ndarray) -> Iterator[np.ndarray]:
    return (images[i : i + BATCH_SIZE] for i in range(0, len(images), BATCH_SIZE))
