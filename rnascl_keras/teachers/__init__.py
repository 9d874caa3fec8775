"""Teachers: networks by name, weights from files, adversarial training."""

from __future__ import annotations

from rnascl_keras.method.teacher import check_teacher
from rnascl_keras.teachers.checkpoints import load_teacher
from rnascl_keras.teachers.networks.architectures import TEACHERS, build_teacher
from rnascl_keras.teachers.published.loading import load_published

__all__ = ["TEACHERS", "build_teacher", "check_teacher", "load_published", "load_teacher"]
