"""What a distiller knows in one step."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import keras

from rnascl_keras.method.teacher import Teacher
from rnascl_keras.models.folded_norm import Inference

Tensor = Any


@dataclass(frozen=True)
class Step:
    """One batch, and what teacher and student say on it; it fills as the step goes on.

    Attributes:
        images: (batch, h, w, c), pixels in [0, 1].
        labels: class indices, (batch,).
        teacher: who answers for the teacher, with its `layers` and `map_size`.
        student: images -> logits (batch, classes).
        inference: the same in inference mode, as attacks ask it, see `folded_inference`.
        noise: the distiller's random generator.
        teacher_logits: on the images, (batch, classes).
        teacher_maps: unit maps of those layers that terms name, (batch, p) each, by layer.
        adversarial: what the attack made of the images, (batch, h, w, c); `Need.ADVERSARIAL`.
        teacher_gradients: of the teacher's cross-entropy, as images; `Need.INPUT_GRADIENTS`.
        epoch_share: part of the epochs of a `fit` that have begun, this one included, a scalar in
            (0, 1]; `Need.EPOCH_SHARE`.

    An attack knows these up to `teacher_maps`; a term knows besides:

        logits: the student's in training mode on what it was shown, (batch, classes); None where
            no term is `clean`.
        activations: of those student layers that terms name, (batch, h_i, w_i, c_i), by layer.
        gradients: of the student's cross-entropy, as images; `Need.INPUT_GRADIENTS`.
        adversarial_logits: the student's in training mode; `Need.ADVERSARIAL`.
    """

    images: Tensor
    labels: Tensor
    teacher: Teacher
    student: keras.Model
    inference: Inference
    noise: keras.random.SeedGenerator
    teacher_logits: Tensor
    teacher_maps: Mapping[str, Tensor] = field(default_factory=dict)
    adversarial: Tensor | None = None
    teacher_gradients: Tensor | None = None
    epoch_share: Tensor | None = None
    logits: Tensor | None = None
    activations: Mapping[str, Tensor] = field(default_factory=dict)
    gradients: Tensor | None = None
    adversarial_logits: Tensor | None = None

    def ask_teacher(self, images: Tensor) -> Tensor:
        """Return the teacher's logits on any images, (batch, classes); `Need.LIVE_TEACHER`."""
        logits, _ = self.teacher.answers(images, [])
        return logits
