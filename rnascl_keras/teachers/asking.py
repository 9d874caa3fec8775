"""Whom search and training ask: a model, or the cache of what it said."""

from __future__ import annotations

from collections.abc import Sequence

import keras

from rnascl_keras.errors import UserError
from rnascl_keras.method.attention import default_map_size
from rnascl_keras.teachers.cache import TeacherCache
from rnascl_keras.teachers.checkpoints import check_teacher
from rnascl_keras.teachers.live import LiveTeacher


def asked(
    teacher: keras.Model | TeacherCache,
    taps: str | Sequence[str] | None,
    map_size: Sequence[int] | None,
    image_shape: Sequence[int],
    classes: int,
) -> LiveTeacher | TeacherCache:
    """Return what answers for `teacher`: both kinds have `says`, `layers`, `map_size`, `name`,
    `fingerprint` and `source`.

    Args:
        teacher: a model, or an opened cache.
        taps: where its maps are taken; None: at every convolution, or where the cache took them.
        map_size: common (height, width) of the maps; None: the images' default, or the cache's.
        image_shape, classes: of the student.

    Raises:
        UserError: the teacher does not fit the student, or the cache was made otherwise.
    """
    if not isinstance(teacher, TeacherCache):
        check_teacher(teacher, tuple(image_shape), classes)
        return LiveTeacher(teacher, taps or "conv", map_size or default_map_size(image_shape))
    wanted = {
        "teacher_taps": (taps, teacher.taps),
        "map_size": (map_size and tuple(map_size), teacher.map_size),
        "image_shape": (tuple(image_shape), teacher.image_shape),
        "classes": (classes, teacher.classes),
    }
    for what, (ours, theirs) in wanted.items():
        if ours is not None and ours != theirs:
            raise UserError(
                f"{what} is {ours}, but the cache of what teacher {teacher.name!r} says was made "
                f"with {theirs}; make a cache with the same."
            )
    return teacher
