"""Tutors that were not searched: matched by depth, or drawn at random."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from rnascl_keras.method.architecture import Tutor


def matched_tutors(student_layers: Sequence[str], teacher_layers: Sequence[str]) -> list[Tutor]:
    """Return for each student layer the teacher layer of the same relative depth."""
    last = max(len(student_layers) - 1, 1)
    steps = np.rint(np.arange(len(student_layers)) * (len(teacher_layers) - 1) / last).astype(int)
    return [Tutor(s, teacher_layers[int(k)]) for s, k in zip(student_layers, steps, strict=True)]


def random_tutors(
    student_layers: Sequence[str], teacher_layers: Sequence[str], seed: int
) -> list[Tutor]:
    """Return for each student layer a teacher layer drawn uniformly."""
    drawn = np.random.default_rng(seed).integers(len(teacher_layers), size=len(student_layers))
    return [Tutor(s, teacher_layers[int(k)]) for s, k in zip(student_layers, drawn, strict=True)]
