"""What the teacher says on a batch of images, as the rows of a shard."""

from __future__ import annotations

import time

import numpy as np
import tensorflow as tf

from rnascl_keras.distribution.replicas import across_replicas
from rnascl_keras.errors import UserError
from rnascl_keras.method.teacher import LiveTeacher
from rnascl_keras.teachers.cache.shards import VALUE

LOWEST = float(np.finfo(VALUE).min)


class AskedTeacher:
    """A teacher that is asked about batches; the replicas of a strategy share each.

    Args:
        live: the teacher.
        gradients: whether rows hold its input gradients too.
    """

    def __init__(self, live: LiveTeacher, gradients: bool) -> None:
        self._live, self._gradients = live, gradients
        self._ask = tf.function(across_replicas(self._row))

    def rows(self, images: tf.Tensor, labels: tf.Tensor) -> np.ndarray:
        """Return float16 (batch, row).

        Args:
            images: (batch, h, w, c).
            labels: (batch,).

        Raises:
            UserError: what it says is not finite.
        """
        rows, finite = self._ask(images, labels)
        if not tf.reduce_all(finite):
            raise UserError(
                f"teacher {self._live.name!r} gives infinite or undefined (NaN) values on the "
                "training images, or logits or input gradients too large for half precision; "
                "give another."
            )
        return rows.numpy()

    def seconds(self, images: tf.Tensor, labels: tf.Tensor, times: int = 3) -> float:
        """Return the seconds it takes for a batch, the fastest after the first; else as `rows`."""
        taken = []
        for _ in range(1 + times):
            start = time.perf_counter()
            self.rows(images, labels)
            taken.append(time.perf_counter() - start)
        return min(taken[1:])

    def _row(self, images: tf.Tensor, labels: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """Return float16 (batch, row), and whether each row is finite, (batch,).

        Of the logits, the distance to the largest is kept, and the largest apart: float16 is finest
        near 0, where the probable classes then are, and a softmax sees the distances alone.
        """
        logits, maps = self._live.answers(images)
        logits = tf.cast(logits, tf.float32)
        largest = tf.reduce_max(logits, axis=-1, keepdims=True)
        logits -= largest
        size = tf.shape(maps)[0]
        said = [largest, tf.reshape(maps, (size, -1))]  # (batch, n_t, p) -> (batch, n_t * p)
        if self._gradients:
            gradients = self._live.input_gradients(images, labels)
            said.append(tf.reshape(gradients, (size, -1)))
        rows = tf.cast(tf.concat([tf.maximum(logits, LOWEST), *said], axis=1), tf.float16)
        # Of the rows as they are kept: much of them may be too large for half precision.
        finite = [tf.reduce_all(tf.math.is_finite(x), axis=1) for x in (logits, rows)]
        return rows, tf.logical_and(*finite)
