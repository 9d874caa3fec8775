"""What a teacher says on every training image, on disk: it is asked only once."""

from __future__ import annotations

from rnascl_keras.teachers.cache.building import build_cache
from rnascl_keras.teachers.cache.reading import TeacherCache, open_cache

__all__ = ["TeacherCache", "build_cache", "open_cache"]
