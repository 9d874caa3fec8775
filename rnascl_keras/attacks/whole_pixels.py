"""Adversarial images as a file sees them that takes bytes: of whole pixels, and in the ball."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from rnascl_keras.attacks.classifier import Batched
from rnascl_keras.attacks.state import Found, choose, margins
from rnascl_keras.attacks.verdict import is_right

if TYPE_CHECKING:
    from rnascl_keras.attacks.attack import Attack

LEVELS = 255
HALVINGS = 12
"""Of the share of a change that stays in the ball."""


def whole_pixels(images: np.ndarray) -> np.ndarray:
    """Return images, (n, h, w, c) in [0, 1], rounded to whole levels, of the same type."""
    return (np.rint(images * LEVELS) / LEVELS).astype(images.dtype)


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
    """Return `points` in whole pixels: the nearest, or where these leave the ball, those nearest to
    as much of the way there as does not.

    Args:
        points: (n, h, w, c), in the ball around `images` and in [0, 1].
        images: (n, h, w, c), of whole pixels.
        attack: says the ball.
    """
    own = np.rint(images * LEVELS)
    change = LEVELS * (points - images)
    whole = np.rint(own + change)
    leaves = np.flatnonzero(~_is_inside(whole - own, attack))
    whole[leaves] = _shortened(own[leaves], change[leaves], attack)
    return (whole / LEVELS).astype(points.dtype)


def _shortened(own: np.ndarray, change: np.ndarray, attack: Attack) -> np.ndarray:
    """Return `own` plus as much of each change as stays in the ball once it is rounded.

    Args:
        own: (n, h, w, c), of whole levels.
        change: (n, h, w, c), in levels.
        attack: says the ball.
    """
    best, least, most = own, np.zeros(len(own)), np.ones(len(own))
    for _ in range(HALVINGS):
        share = (least + most) / 2
        tried = np.rint(own + share.reshape(-1, 1, 1, 1) * change)
        fits = _is_inside(tried - own, attack)
        best = choose(fits, tried, best)
        least, most = np.where(fits, share, least), np.where(fits, most, share)
    return best


def _is_inside(change: np.ndarray, attack: Attack) -> np.ndarray:
    """Return which changes, (n, h, w, c) in levels, stay in the ball, (n,)."""
    return attack.norm.length(change / LEVELS) <= attack.epsilon * (1 + 1e-5)
