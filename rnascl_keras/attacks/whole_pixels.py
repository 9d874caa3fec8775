"""Adversarial images as a file sees them that takes bytes: of whole pixels, and in the ball."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from rnascl_keras.attacks.attack import Attack
from rnascl_keras.attacks.classifier import Batched
from rnascl_keras.attacks.state import Found, choose, margins
from rnascl_keras.attacks.verdict import is_right

LEVELS = 255


def takes_whole_pixels(classifier: Any) -> bool:
    """Whether a classifier says that it sees pixels rounded to 1 / 255."""
    inner = classifier.classifier if isinstance(classifier, Batched) else classifier
    return bool(getattr(inner, "takes_whole_pixels", False))


def whole_radius(classifier: Any, epsilon: float, norm: str) -> float:
    """Return the radius that whole pixels of an L-infinity ball of radius `epsilon` can reach:
    any point within it, rounded, is still in the ball. Of other classifiers and norms, `epsilon`.

    Args:
        classifier: what is attacked.
        epsilon: in pixel units of [0, 1].
        norm: "Linf", "L2", "L1" or "L0".
    """
    if norm != "Linf" or not takes_whole_pixels(classifier):
        return epsilon
    return math.floor(LEVELS * epsilon + 1e-6) / LEVELS


def as_it_sees(
    found: Found, attack: Attack, classifier: Batched, images: np.ndarray, labels: np.ndarray
) -> Found:
    """Return what an attack has found, its images of whole pixels, and asked about once more, for
    rounding can lead out of an L2 or L1 ball; of one that takes others as they are, `found`.

    Args:
        found: what the attack has found.
        attack: says the ball.
        classifier: of the images.
        images: (n, h, w, c) clean ones, in [0, 1].
        labels: (n,) integers.
    """
    if not takes_whole_pixels(classifier):
        return found
    fallen = np.flatnonzero(~found.robust)
    if not len(fallen):
        return found
    whole = found.images.copy()
    whole[fallen] = rounded_into_ball(found.images[fallen], images[fallen], attack)
    logits = classifier.logits(whole[fallen])
    robust, margin = found.robust.copy(), found.margin.copy()
    robust[fallen] = is_right(logits, labels[fallen])
    margin[fallen] = margins(logits, labels[fallen])
    return Found(whole, robust, margin)


def rounded_into_ball(points: np.ndarray, images: np.ndarray, attack: Attack) -> np.ndarray:
    """Return `points` in whole pixels: the nearest, or where these leave the ball, nearer ones to
    the image's own.

    Args:
        points: (n, h, w, c), in the ball around `images` and in [0, 1].
        images: (n, h, w, c).
        attack: says the ball.
    """
    nearest = np.rint(points * LEVELS)
    own = np.rint(images * LEVELS)
    nearer = own + np.trunc((points - images) * LEVELS + 1e-3 * np.sign(points - images))
    change = (nearest - LEVELS * images) / LEVELS
    leaves = attack.norm.length(change) > attack.epsilon * (1 + 1e-5)
    return (choose(leaves, nearer, nearest) / LEVELS).astype(points.dtype)
