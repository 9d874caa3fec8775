"""The largest student of a space as a network by name, to be trained as the others are."""

from __future__ import annotations

from collections.abc import Sequence

import keras

from rnascl_keras.errors import UserError
from rnascl_keras.method.architecture import Architecture
from rnascl_keras.method.spaces import get_space

STUDENTS = {f"student_{space.lower()}": space for space in ("S3", "S5", "S7", "M", "L")}


def build_largest_student(
    name: str,
    *,
    input_shape: tuple[int, int, int],
    classes: int,
    mean: Sequence[float] | None = None,
    std: Sequence[float] | None = None,
) -> keras.Model:
    """Build the student of the largest widths, without tutors.

    Args:
        name: one of `STUDENTS`.
        input_shape, classes: as for `build_teacher`.
        mean, std: None; students take pixels as they are.

    Raises:
        UserError: a normalisation is given.
    """
    if mean is not None or std is not None:
        raise UserError(f"{name} takes pixels as they are; leave out mean and std.")
    space = get_space(STUDENTS[name])
    widths = tuple(map(tuple, space.widths_everywhere(max)))
    return Architecture(space, widths, input_shape=input_shape, classes=classes).build(name)
