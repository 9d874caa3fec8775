"""The gradient that attacks on a file follow, against differences of what the file answers."""

from __future__ import annotations

import numpy as np

from rnascl_keras.export import OnnxClassifier

IMAGES = np.random.default_rng(1).uniform(0.2, 0.8, (6, 8, 8, 3)).astype(np.float32)
LABELS = np.array([0, 1, 2, 3, 4, 0])


def check_against_differences(path, *, step=2e-3, atol=2e-4, rtol=0.02, **settings):
    """Check the margin's gradient in four directions; return the classifier.

    Args:
        step: how far each pixel moves at most, here and there.
        atol, rtol: of the difference between both places.
        settings: of `OnnxClassifier`.
    """
    classifier = OnnxClassifier(path, **settings)
    gradient = classifier.loss_and_gradient(IMAGES, LABELS, "margin")[2]
    assert gradient.any(axis=(1, 2, 3)).all()
    for seed in range(4):
        move = np.random.default_rng(seed).uniform(-step, step, IMAGES.shape).astype(np.float32)
        ahead, behind = (
            classifier.loss_and_gradient(IMAGES + sign * move, LABELS, "margin")[1].astype(float)
            for sign in (1, -1)
        )
        expected = 2 * (gradient.astype(float) * move).sum(axis=(1, 2, 3))
        np.testing.assert_allclose(ahead - behind, expected, atol=atol, rtol=rtol)
    return classifier
