"""Projected gradient ascent inside a training step: in the graph, for all images of the batch."""

from __future__ import annotations

from collections.abc import Callable
from numbers import Real
from typing import TYPE_CHECKING, cast

from rnascl_keras.attacks.inputs import check_whole
from rnascl_keras.attacks.norms import Linf, check_epsilon
from rnascl_keras.errors import UserError

if TYPE_CHECKING:
    import tensorflow as tf

SCALE = 2.0**10
"""What is raised is multiplied by this before it is differentiated: exact, a power of 2, and small
gradients stay above the smallest number of layers that compute in half precision."""


def ascend(
    objective: Callable[[tf.Tensor], tf.Tensor],
    start: tf.Tensor,
    images: tf.Tensor,
    *,
    epsilon: float,
    step_size: float,
    steps: int,
) -> tf.Tensor:
    """Raise `objective` by signed gradient steps from `start`, within the L-infinity ball.

    It is a `tf.while_loop`, so it compiles (also with XLA) inside a training step. No gradient
    flows through the result.

    Args:
        objective: (batch, h, w, c) -> one value per image, (batch,). Each must depend on its own
            image only, so that the gradient of their sum is every image's own gradient.
        start: (batch, h, w, c), projected before the first step.
        images: (batch, h, w, c), the centre of the ball, pixels in [0, 1].
        epsilon: radius of the L-infinity ball in pixel units of [0, 1].
        step_size: length of one step, in pixel units of [0, 1].
        steps: number of steps; 0 gives the projected start.

    Returns:
        (batch, h, w, c) adversarial images, within `epsilon` of `images` and in [0, 1].
    """
    import tensorflow as tf
    from keras import ops

    def step(index, adversarial):
        moved = adversarial + step_size * _signs(objective, adversarial)
        return index + 1, Linf.project(moved, images, epsilon, ops)

    _, adversarial = tf.while_loop(
        lambda index, _: index < steps,
        step,
        (0, Linf.project(start, images, epsilon, ops)),
        maximum_iterations=steps,
    )
    return tf.stop_gradient(adversarial)


def check_ascent(epsilon: float, step_size: float, steps: int) -> None:
    """Raise UserError unless these are settings of an ascent: a radius in (0, 1], a length of at
    least 0 in the same units, and a whole number of steps, at least 0."""
    check_epsilon(epsilon)
    if not (isinstance(step_size, Real) and 0 <= step_size <= 1):
        raise UserError(
            f"step_size is {step_size!r}; expected a length from 0 to 1 in pixel units of [0, 1], "
            "such as 2 / 255."
        )
    check_whole("steps", steps)


def _signs(objective: Callable[[tf.Tensor], tf.Tensor], points: tf.Tensor) -> tf.Tensor:
    """Return the signs of the gradient of each image's own objective, (batch, h, w, c)."""
    import tensorflow as tf

    with tf.GradientTape() as tape:
        tape.watch(points)
        total = SCALE * tf.reduce_sum(objective(points))
    # of a dense tensor a gradient is one, too
    return tf.sign(cast("tf.Tensor", tape.gradient(total, points)))
