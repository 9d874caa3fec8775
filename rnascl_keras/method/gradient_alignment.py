"""Input-gradient alignment (KDIGA): the student's loss is to rise where its teacher's does."""

from __future__ import annotations

from typing import Any

import tensorflow as tf

from rnascl_keras.method.attention import guarded_sqrt
from rnascl_keras.method.need import Need
from rnascl_keras.method.step import Step
from rnascl_keras.method.terms import Term

Tensor = Any


def alignment_loss(student: Tensor, teacher: Tensor) -> Tensor:
    """Return the mean over the batch of ||student - teacher||, a scalar (Shao et al., 2021).

    The norm of each image's difference is not squared, as those of eq. 1 are not.

    An input gradient here is that of the image's own cross-entropy. The authors' script
    differentiates the batch's mean, of which it is 1 / batch; its weight w at batches of b images
    is w / b here, and a weight of 1 here is its weight b.

    Args:
        student, teacher: input gradients of the cross-entropy, (batch, h, w, c).
    """
    squares = tf.reduce_sum(
        tf.square(student - tf.stop_gradient(tf.cast(teacher, student.dtype))), axis=(1, 2, 3)
    )
    return tf.reduce_mean(guarded_sqrt(squares))


class GradientAlignment(Term):
    """`alignment_loss` of the student and the teacher, both on the clean images.

    It asks the student's weights for a second derivative, so a step costs about twice as much.

    Args:
        weight: as of `Term`; of the published one 1 / batch, see `alignment_loss`.
    """

    needs = (Need.INPUT_GRADIENTS,)

    def __init__(self, weight: float | None = 1.0) -> None:
        super().__init__("gradient_alignment", weight)

    def compute(self, step: Step) -> Tensor:
        return alignment_loss(step.gradients, step.teacher_gradients)
