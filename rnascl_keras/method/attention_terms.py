"""Eq. 1 in the training phase: every student layer has its tutor, or all the teacher's alike."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
import tensorflow as tf

from rnascl_keras.errors import UserError, nearest
from rnascl_keras.method.architecture import Tutor
from rnascl_keras.method.attention import attention_loss, tutored_attention_loss, unit_maps
from rnascl_keras.method.step import Step
from rnascl_keras.method.teacher import Teacher
from rnascl_keras.method.terms import Term

Tensor = Any


class TutoredAttention(Term):
    """Eq. 1 with one-hot tutors, its divisor n_s n_t included.

    Args:
        tutors: a student layer and a teacher layer each; without any the term is 0.
        weight: gamma_t of eq. 3.
    """

    def __init__(self, tutors: Sequence[Tutor], weight: float | None = 1.0) -> None:
        super().__init__("attention", weight)
        self.tutors = tuple(tutors)
        self.student_layers = [tutor.student_layer for tutor in tutors]
        self.teacher_layers = [tutor.teacher_layer for tutor in tutors]

    def check(self, teacher: Teacher, student: keras.Model) -> None:
        """Raise UserError unless the tutors are among the teacher's tapped layers."""
        for layer in (tutor.teacher_layer for tutor in self.tutors):
            if layer not in teacher.layers:
                raise UserError(
                    f"tutor {layer!r} is not a tapped layer of teacher {teacher.name!r}; was the "
                    "architecture searched under another teacher?" + nearest(layer, teacher.layers)
                )

    def compute(self, step: Step) -> Tensor:
        if not self.tutors:
            return tf.zeros((), keras.config.floatx())
        activations = [step.activations[layer] for layer in self.student_layers]
        return tutored_attention_loss(
            unit_maps(activations, step.teacher.map_size),
            # n_s x (batch, p) -> (batch, n_s, p)
            tf.stack([step.teacher_maps[tutor.teacher_layer] for tutor in self.tutors], axis=1),
            n_t=len(step.teacher.layers),
        )


class UniformAttention(Term):
    """Eq. 1 with its Gumbel weights all equal: every layer copies all the teacher's alike.

    Args:
        tutors: only their student layers count.
        weight: gamma_t of eq. 3.
    """

    teacher_layers = None

    def __init__(self, tutors: Sequence[Tutor], weight: float | None = 1.0) -> None:
        super().__init__("attention", weight)
        self.student_layers = [tutor.student_layer for tutor in tutors]

    def compute(self, step: Step) -> Tensor:
        layers = step.teacher.layers
        n_s, n_t = len(self.student_layers), len(layers)
        activations = [step.activations[layer] for layer in self.student_layers]
        return attention_loss(
            unit_maps(activations, step.teacher.map_size),
            tf.stack([step.teacher_maps[layer] for layer in layers], axis=1),
            tf.fill((n_s, n_t), 1.0 / n_t),
        )
