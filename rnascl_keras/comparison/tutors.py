"""Tutors that were not searched: matched by depth, drawn at random, or all of them alike."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from rnascl_keras.method.architecture import Tutor
from rnascl_keras.method.attention import attention_loss, unit_maps
from rnascl_keras.method.distill import CrossLayerDistiller

Tensor = Any


def matched_tutors(student_layers: Sequence[str], teacher_layers: Sequence[str]) -> list[Tutor]:
    """Return for each student layer the teacher layer of the same relative depth."""
    last = max(len(student_layers) - 1, 1)
    steps = np.rint(np.arange(len(student_layers)) * (len(teacher_layers) - 1) / last).astype(int)
    return [Tutor(s, teacher_layers[k]) for s, k in zip(student_layers, steps, strict=True)]


def random_tutors(
    student_layers: Sequence[str], teacher_layers: Sequence[str], seed: int
) -> list[Tutor]:
    """Return for each student layer a teacher layer drawn uniformly."""
    drawn = np.random.default_rng(seed).integers(len(teacher_layers), size=len(student_layers))
    return [Tutor(s, teacher_layers[k]) for s, k in zip(student_layers, drawn, strict=True)]


class UniformTutors(CrossLayerDistiller):
    """Eq. 3 with eq. 1's Gumbel weights all equal: every layer copies all the teacher's alike.

    Args:
        as of `CrossLayerDistiller`; of `tutors` only the student layers count.
    """

    def __init__(self, *args: Any, **settings: Any) -> None:
        super().__init__(*args, **settings)
        self._tutors_used = list(range(len(self._teacher.layers)))

    def _attention(self, student: list[Tensor], tutor_maps: Tensor) -> Tensor:
        n_s, n_t = len(student), len(self._teacher.layers)
        weights = tf.fill((n_s, n_t), 1.0 / n_t)
        return attention_loss(unit_maps(student, self.map_size), tutor_maps, weights)
