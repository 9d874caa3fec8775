"""MI-FGSM: iterated FGSM with momentum (Dong et al., 2018, algorithm 1)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rnascl_keras.attacks.base import Attack

if TYPE_CHECKING:
    import tensorflow as tf


class MIFGSM(Attack):
    """`steps` signed steps along a momentum of gradients, from the image itself.

    Args:
        epsilon: radius of the L-infinity ball in pixel units of [0, 1], e.g. 8 / 255.
        steps: number of gradient steps.
        step_size: length of a step, in pixel units of [0, 1]; `epsilon / steps` by default, so that
            the steps together just reach the ball's edge.
        decay: what is kept of the momentum at each step (the paper's mu).
    """

    key = "mi_fgsm"

    def __init__(
        self,
        epsilon: float,
        *,
        steps: int = 10,
        step_size: float | None = None,
        decay: float = 1.0,
    ):
        step_size = epsilon / steps if step_size is None else step_size
        super().__init__(epsilon, steps=steps, step_size=step_size, random_start=False)
        self.decay = decay

    def direction(self, gradient: tf.Tensor, memory: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """Eq. 6 and 7: momentum = decay * momentum + gradient / |gradient|_1, then its sign.

        The norm is each image's own sum of absolute values. Libraries that divide by the mean
        instead get a momentum larger by a constant, and the same sign. An image without gradient
        adds nothing to its momentum.
        """
        import tensorflow as tf

        # (batch, h, w, c) -> (batch, 1, 1, 1)
        norm = tf.reduce_sum(tf.abs(gradient), axis=(1, 2, 3), keepdims=True)
        momentum = self.decay * memory + tf.math.divide_no_nan(gradient, norm)
        return tf.sign(momentum), momentum
