"""Keras models that say otherwise of an image where others lie beside it in its batch.

Files are looked at where they are opened, see `export.same_function`.
"""

from __future__ import annotations

import numpy as np

from rnascl_keras.attacks.classifier import Classifier
from rnascl_keras.export.same_function import COMPARED, differ

FEW = COMPARED
"""Images that are asked about alone and together."""


def mixes_images(classifier: Classifier, images: np.ndarray) -> bool:
    """Return whether what a model says of some images, (n, h, w, c), depends on their being asked
    about together; not of a random model, which says otherwise each time."""
    if len(images) < 2:
        return False
    together = classifier.logits(images)
    if together.ndim != 2:  # no classifier: that is told by whoever asks
        return False
    alone = np.concatenate([classifier.logits(image[None]) for image in images])
    if not differ(alone, together):
        return False
    again = np.concatenate([classifier.logits(image[None]) for image in images])
    return not differ(alone, again)
