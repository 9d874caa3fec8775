"""Training without adversarial images, as cell networks were published with it."""

from __future__ import annotations

from typing import Any

import keras
import tensorflow as tf

from rnascl_keras.errors import UserError
from rnascl_keras.method.batches import unpack_batch
from rnascl_keras.method.losses import cross_entropy
from rnascl_keras.method.training import TrainingModel, accuracy, descend
from rnascl_keras.teachers.drop_path import DropPath, DropRate
from rnascl_keras.teachers.networks.architectures import build_teacher
from rnascl_keras.teachers.networks.cell_network import build_cell_network
from rnascl_keras.teachers.networks.cell_rows import CELL_NETWORKS

Tensor = Any


class NaturalTrainer(TrainingModel):
    """Trains a network by the cross-entropy on clean images, of its auxiliary logits too.

    Compile it with an optimizer only and `fit` it on batches of (images, labels).

    Args:
        model: (batch, h, w, c) in [0, 1] -> logits (batch, classes), or these and auxiliary ones of
            the same shape.
        auxiliary: weight of the auxiliary logits' loss.
        weight_decay: rate of the coupled L2 term added to the loss, see `losses.l2_penalty`.
    """

    def __init__(
        self,
        model: keras.Model,
        *,
        auxiliary: float = 0.0,
        weight_decay: float = 3e-4,
        name: str = "natural_trainer",
    ) -> None:
        classifier = keras.Model(model.inputs, model.outputs[0])
        super().__init__(classifier, ("loss", "accuracy"), name)
        self.heads, self.auxiliary, self.weight_decay = model, auxiliary, weight_decay

    @property
    def network(self) -> keras.Model:
        """With its auxiliary classifier."""
        return self.heads

    @property
    def weight_variables(self) -> list[Any]:
        """The network's and its auxiliary classifier's."""
        return self.heads.trainable_variables

    def train_step(self, data: Any) -> dict[str, Tensor]:
        images, labels = unpack_batch(data, self.classes)

        def objective() -> tuple[Tensor, dict[str, Tensor]]:
            logits, *others = keras.tree.flatten(self.heads(images, training=True))
            loss = tf.reduce_mean(cross_entropy(labels, logits))
            parts = {"loss": loss, "accuracy": accuracy(labels, logits)}
            for other in others:
                loss += self.auxiliary * tf.reduce_mean(cross_entropy(labels, other))
            return loss + self.penalties(self.weight_decay), parts

        parts = descend(objective, self.weight_variables, self.optimizer, labels)
        self.share_statistics()
        return self.record(parts, labels)


def build_for_training(
    network: dict[str, Any], *, auxiliary: bool, rate: DropRate | None
) -> keras.Model:
    """Build a network with what only its training needs.

    Args:
        network: arguments of `build_teacher`.
        auxiliary: whether it has a second output, an auxiliary classifier's logits.
        rate: of its drop path; None for none.

    Raises:
        UserError: it is no cell network, which alone have these.
    """
    if not auxiliary and rate is None:
        return build_teacher(**network)
    settings = dict(network)
    name, width, cells = (settings.pop(key) for key in ("architecture", "width", "cells"))
    if name not in CELL_NETWORKS:
        raise UserError(
            f"auxiliary and drop_path are for cell networks, one of {', '.join(CELL_NETWORKS)}; "
            f"got {name!r}: leave them out."
        )
    return build_cell_network(
        CELL_NETWORKS[name].slimmer(width, cells),
        name=name,
        auxiliary=auxiliary,
        drop_path=None if rate is None else lambda: DropPath(rate),
        **settings,
    )


def copy_shared_weights(trained: keras.Model, deployed: keras.Model) -> None:
    """Give every layer of `deployed` the weights of `trained`'s layer of the same name."""
    for layer in deployed.layers:
        layer.set_weights(trained.get_layer(layer.name).get_weights())
