"""Hydra (Sehwag et al., 2020): scores that learn which weights robust accuracy needs.

After inspire-group/hydra, models/layers.py and utils/model.py.
"""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import tensorflow as tf

from rnascl_keras.distribution.replicas import apply_gradients, replica_count
from rnascl_keras.method.batches import unpack_batch
from rnascl_keras.method.training import gradients_of
from rnascl_keras.pruning.masks import kernels, largest
from rnascl_keras.teachers.adversarial_training import AdversarialTrainer

Tensor = Any


class HydraTrainer(AdversarialTrainer):
    """Learns a score for each weight of `model`; the largest of each layer stay.

    Weights and biases are fixed; besides the scores only the normalisations train. The kernels of
    the model always hold the pruned weights, w * mask of the largest |s|, so that attack,
    validation and gradient are the pruned network's, and the mask can be read off them. The
    gradient passes the mask straight through: dL/ds = sign(s) w dL/d(w mask), and weight decay
    pulls at the scores.

    Args:
        model: trained; its weights are what is pruned.
        keep: share of each layer's weights that stay, in (0, 1].
        weight_decay: rate of the coupled L2 term on the scores.
        **settings: of `AdversarialTrainer`.
    """

    def __init__(
        self, model: keras.Model, *, keep: float, weight_decay: float = 1e-4, **settings: Any
    ) -> None:
        super().__init__(model, weight_decay=0.0, name="hydra_trainer", **settings)
        self.keep, self.score_decay = keep, weight_decay
        self.scores = _Scores(self.pruned)
        self.prune()

    @property
    def pruned(self) -> list[Any]:
        """The kernels."""
        return kernels(self.model)

    @property
    def norms(self) -> list[Any]:
        """Scale and offset of the normalisations."""
        return [v for v in self.model.trainable_variables if v.name in ("gamma", "beta")]

    @property
    def weight_variables(self) -> list[Any]:
        """The scores, then the normalisations' scale and offset."""
        return [*self.scores.scores, *self.norms]

    def prune(self) -> None:
        """Write w * mask into the kernels; traceable."""
        scores = self.scores
        for kernel, w, s in zip(self.pruned, scores.weights_before, scores.scores, strict=True):
            kernel.assign(tf.cast(w * largest(s, self.keep), kernel.dtype))

    def score_gradients(self, gradients: list[Tensor]) -> list[Tensor]:
        """Return dL/ds of dL/d(w mask), each of its kernel's shape, with the scores' decay.

        Of several replicas each has its part of both.
        """
        decay = self.score_decay / replica_count()
        return [
            tf.sign(s.value) * w.value * g + decay * s.value
            for s, w, g in zip(
                self.scores.scores, self.scores.weights_before, gradients, strict=True
            )
        ]

    def train_step(self, data: Any) -> dict[str, Tensor]:
        images, labels = unpack_batch(data, self.classes)
        adversarial = self.attack(images, labels)
        moved = [*self.pruned, *self.norms]
        gradients, parts = gradients_of(
            lambda: self.robust_loss(images, adversarial, labels), moved, self.optimizer, labels
        )
        count = len(self.pruned)
        own = [*self.score_gradients(gradients[:count]), *gradients[count:]]
        apply_gradients(self.optimizer, own, self.weight_variables)
        self.prune()
        self.share_statistics()
        return self.record(parts, labels)


class _Scores(keras.layers.Layer):
    """The scores, and the weights as they were: variables, so a checkpoint holds them."""

    def __init__(self, pruned: list[Any]) -> None:
        super().__init__(name="scores", dtype="float32")
        self.scores, self.weights_before = [], []
        for k, kernel in enumerate(pruned):
            value = np.asarray(kernel, np.float32)
            score = self.add_weight(shape=value.shape, initializer="zeros", name=f"score_{k}")
            before = self.add_weight(
                shape=value.shape, initializer="zeros", trainable=False, name=f"before_{k}"
            )
            score.assign(first_scores(value))
            before.assign(value)
            self.scores.append(score)
            self.weights_before.append(before)
        self.built = True


def first_scores(weights: np.ndarray) -> np.ndarray:
    """Return the scores of a layer to start with: sqrt(6 / fan_in) w / max |w|.

    Args:
        weights: a kernel, (inputs, outputs) or (h, w, inputs, outputs); (h, w, c, 1) is taken as
            that of a depthwise convolution.
    """
    depthwise = weights.ndim == 4 and weights.shape[-1] == 1
    fan_in = weights[..., 0, 0].size if depthwise else weights[..., 0].size
    return np.sqrt(6 / fan_in) * weights / max(np.abs(weights).max(), 1e-12)
