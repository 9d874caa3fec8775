"""Teachers: networks by name, weights from files, adversarial training."""

from __future__ import annotations

from rnascl_keras.teachers.checkpoints import check_teacher, load_teacher
from rnascl_keras.teachers.resnet import TEACHERS, build_teacher

__all__ = ["TEACHERS", "build_teacher", "check_teacher", "load_teacher"]
