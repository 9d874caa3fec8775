"""Which images of each batch are for which replica."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from rnascl_keras.errors import UserError

if TYPE_CHECKING:
    import tensorflow as tf


@dataclass(frozen=True)
class Share:
    """The images of some of the replicas that share every batch.

    They are dealt like cards: replica r gets the batch's images r, r + replicas, ..., so what
    counts off the first part of a batch, as the search does, counts off the same images on one
    replica as on several, but for what each rounds of its own part. Dealing comes before reading:
    no host decodes another one's images.

    Attributes:
        replicas: how many share a batch.
        first, count: those of this input pipeline, that is of this host.
    """

    replicas: int = 1
    first: int = 0
    count: int = 1

    def check(self, batch_size: int, name: str = "batch_size") -> None:
        """Raise UserError where a batch of `batch_size` images cannot be dealt out evenly."""
        if batch_size % self.replicas:
            raise UserError(
                f"{name}={batch_size} cannot be shared evenly by {self.replicas} replicas; "
                f"take a multiple of {self.replicas}: it is the size over all of them."
            )

    def of(self, order: tf.Tensor, batch_size: int) -> tf.Tensor:
        """Return the part of `order`, int (steps * batch_size,), that is theirs: batches of
        batch_size / replicas, for one replica after the other."""
        import tensorflow as tf

        if self.replicas == 1:
            return order
        each = batch_size // self.replicas
        # (steps * batch,) -> (steps, each, replicas) -> (steps, count, each) -> (their images,)
        hands = tf.reshape(order, (-1, each, self.replicas))
        mine = tf.transpose(hands, (0, 2, 1))[:, self.first : self.first + self.count]
        return tf.reshape(mine, (-1,))


WHOLE = Share()
"""Everything, for the only replica."""
