"""The gradient of any loss, from that of the losses which a graph can compute."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

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
