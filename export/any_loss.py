"""The gradient of any loss, from that of the losses which a graph can compute."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from rnascl_keras.attacks import losses
from rnascl_keras.export.gradient.losses import name_in_graph


class AnyLoss:
    """What a classifier can do that has `logits(images)` and `by_name(loss, images, told)`, which
    returns logits, losses and gradient; `told` are labels and targets, or of the loss "linear" its
    slopes."""

    logits: Callable[..., np.ndarray]
    by_name: Callable[[str, np.ndarray, Sequence[np.ndarray]], Any]

    def logits_and_gradient(
        self,
        images: np.ndarray,
        loss: Callable[..., tuple[np.ndarray, np.ndarray]],
        labels: np.ndarray,
        targets: np.ndarray,
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return logits, and the gradient by the pixels of a loss as `rnascl_keras.attacks` has it.

        Args:
            images: pixels (n, h, w, c) in [0, 1].
            loss: (numpy, logits, labels, targets) -> (values, derivatives by the logits). Those of
                `rnascl_keras.attacks.losses` become nodes of the graph; for others the file is run
                twice.
            labels, targets: (n,) integers.
        """
        name = name_in_graph(loss)
        if name is not None:
            logits, _, gradient = self.by_name(name, images, (labels, targets))
            return logits, gradient
        logits = self.logits(images)
        slopes = np.asarray(loss(np, logits, labels, targets)[1], logits.dtype)
        return logits, self.by_name("linear", images, (slopes,))[2]


def by_name_of(loss: str, told: Sequence[np.ndarray]) -> dict[str, np.ndarray]:
    """Return under their names what `by_name` is told of a loss."""
    names = ("slopes",) if loss == "linear" else ("labels", "targets")
    return dict(zip(names, told, strict=True))


def loss_of(
    logits: np.ndarray, loss: str, told: Mapping[str, np.ndarray], otherwise: np.ndarray
) -> np.ndarray:
    """Return the values of a loss known by name, (n,); of another `otherwise`.

    Args:
        logits: (n, classes).
        loss: its name.
        told: labels and targets, (n,) integers.
        otherwise: (n,).
    """
    if loss == "cross_entropy":
        return np.logaddexp(0, losses.log_odds(np, logits, told["labels"], told["labels"])[0])
    if loss not in losses.NAMED:
        return otherwise
    return losses.NAMED[loss](np, logits, told["labels"], told.get("targets", told["labels"]))[0]
