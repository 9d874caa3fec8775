"""ADV-ADMM (Ye et al., 2019): weights that are pulled, while they train, to a pruned copy.

After yeshaokai/Robustness-Aware-Pruning-ADMM, admm/admm.py.
"""

from __future__ import annotations

import math
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from rnascl_keras.pruning.masks import kernels, largest
from rnascl_keras.teachers.adversarial_training import AdversarialTrainer

Tensor = Any

RHO, GROWTH, UPDATES = 1e-3, 1.3, 10
"""The penalty's first rate, by what each update multiplies it, and how many updates there are (200
epochs, every 20)."""


class AdmmTrainer(AdversarialTrainer):
    """Adversarial training with rho / 2 sum |W - Z + U|^2 added to the loss, over the kernels.

    Z is the pruned copy, U what W and Z still differ by, summed up. Use `Updates` as a callback.

    Args:
        model: trained.
        keep: share of each layer's weights that the copy has, in (0, 1].
        **settings: of `AdversarialTrainer`.
    """

    keeps_best = False  # a weight is not pruned before the end, so the best epoch is the last

    def __init__(self, model: keras.Model, *, keep: float, **settings: Any) -> None:
        super().__init__(model, name="admm_trainer", **settings)
        self.keep = keep
        self.copies = _Copies(self.pruned, keep)

    @property
    def pruned(self) -> list[Any]:
        """The kernels."""
        return kernels(self.model)

    def penalties(self, weight_decay: float) -> Tensor:
        """As the base's, and the pull to the pruned copy."""
        copies, total = self.copies, tf.zeros(())
        for w, z, u in zip(self.pruned, copies.z, copies.u, strict=True):
            total += tf.reduce_sum(tf.square(tf.cast(w, tf.float32) - z + u))
        return super().penalties(weight_decay) + copies.rho / 2 * total

    def update(self) -> None:
        """Raise rho, project: Z = P(W + U), U = U + W - Z."""
        copies = self.copies
        copies.rho.assign(GROWTH * copies.rho)
        for w, z, u in zip(self.pruned, copies.z, copies.u, strict=True):
            total = tf.cast(w, tf.float32) + u
            z.assign(project(total, self.keep))
            u.assign(total - z)


class Updates(keras.callbacks.Callback):
    """Updates the pruned copy after equally many epochs each time, less than `UPDATES` times.

    What a checkpoint has had of it already, saved inside of an epoch, is not done again.

    Args:
        epochs: of the whole training.
    """

    def __init__(self, epochs: int) -> None:
        super().__init__()
        self.period = -(-epochs // UPDATES)

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        trainer: Any = self.model
        if trainer.copies.updates < epoch // self.period:
            trainer.update()


def project(values: Tensor, keep: float) -> Tensor:
    """Return the nearest values of which but the kept share are zero: the largest stay."""
    return values * largest(values, keep)


class _Copies(keras.layers.Layer):
    """Z, U and rho: variables, so a checkpoint holds them."""

    def __init__(self, pruned: list[Any], keep: float) -> None:
        super().__init__(trainable=False, name="admm_copies", dtype="float32")
        self.rho = self._variable((), "rho", RHO)
        self.z, self.u = [], []
        for k, kernel in enumerate(pruned):
            value = np.asarray(kernel, np.float32)
            self.z.append(self._variable(value.shape, f"z_{k}", project(value, keep)))
            self.u.append(self._variable(value.shape, f"u_{k}", np.zeros_like(value)))
        self.built = True

    @property
    def updates(self) -> int:
        """How many there have been, as rho tells, which each multiplies."""
        return round(math.log(float(self.rho) / RHO) / math.log(GROWTH))

    def _variable(self, shape: tuple[int, ...], name: str, value: Any) -> Any:
        made = self.add_weight(shape=shape, initializer="zeros", trainable=False, name=name)
        made.assign(value)
        return made
