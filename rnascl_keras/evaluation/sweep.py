"""Robust accuracy over the radius (the paper's Figures 3 and 4)."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np

from rnascl_keras.attacks.classifier import as_classifier
from rnascl_keras.errors import ModelFailed, UserError
from rnascl_keras.evaluation.evaluate import Evaluation, evaluate


@dataclasses.dataclass(frozen=True)
class Sweep:
    """Accuracies at several radii; at radius 0 it is that of the clean images.

    Attributes:
        n: number of images.
        norm: of the ball, "Linf", "L2", "L1" or "L0".
        epsilon: the radii, from small to large.
        accuracy: by attack key, and "worst", from 0 to 1 at each radius.
        intervals: by the same keys, the 95 % Wilson interval [low, high] at each radius.
    """

    n: int
    norm: str
    epsilon: list[float]
    accuracy: dict[str, list[float]]
    intervals: dict[str, list[list[float]]]

    def as_dict(self) -> dict[str, Any]:
        """Return the sweep as plain JSON values."""
        return dataclasses.asdict(self)


def sweep_radii(
    model: Any,
    images: Any,
    labels: np.ndarray,
    *,
    radii: Sequence[float],
    attacks: Sequence[str] = ("fgsm", "pgd"),
    norm: str = "Linf",
    seed: int = 0,
    batch_size: int = 128,
    progress: bool = True,
    known: Evaluation | None = None,
) -> Sweep:
    """Evaluate the model at each radius, on its own: no image is carried over from a smaller one.

    Args:
        model, images, labels: as in `evaluate`.
        radii: in any order; for L-infinity in pixel units of [0, 1].
        attacks, norm, seed, batch_size, progress: as in `evaluate`.
        known: what the same settings gave at a radius of its own, which joins the others.

    Raises:
        UserError: no radius, no attack, or as `evaluate`.
    """
    if not radii or not attacks:
        raise UserError("a sweep needs at least one radius and one attack.")
    classifier = as_classifier(model)
    done = {known.epsilon: known} if known else {}
    epsilon = sorted({float(radius) for radius in radii} | done.keys())
    settings = {"attacks": attacks, "norm": norm, "seed": seed, "batch_size": batch_size}
    settings |= {"check": 0, "progress": progress, "keep": False}
    found = [
        done.get(e) or evaluate(classifier, images, labels, epsilon=e, **settings)[0]
        for e in epsilon
    ]
    for evaluation in found:
        if evaluation.failed:
            raise ModelFailed(evaluation.failed.rstrip("."))
    keys = [key for key in found[0].accuracy if key != "clean"]
    return Sweep(
        len(images),
        norm,
        epsilon,
        accuracy={key: [evaluation.accuracy[key] for evaluation in found] for key in keys},
        intervals={key: [evaluation.intervals[key] for evaluation in found] for key in keys},
    )
