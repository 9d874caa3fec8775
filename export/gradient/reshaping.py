"""What a Reshape leaves to be worked out: its zeros, and its -1."""

from __future__ import annotations

import math
from collections import Counter

import numpy as np

from rnascl_keras.export.gradient.evaluation import KNOWN, UNKNOWN, Partial


def resolved(shape: Partial, sizes: Partial | None) -> Partial:
    """Return the shape that a Reshape is given, with as much known as the number of values tells.

    Shape inference does not cancel a batch left open: to it, the last of (batch, 8, -1) is unknown,
    whatever (batch, 8, 16, 16) was before.

    Args:
        shape: in which 0 leaves the size as it was.
        sizes: of what is reshaped, None where they are unknown.
    """
    values, kinds = shape.values.copy(), shape.kinds.copy()
    for i in np.flatnonzero((values == 0) & (kinds == KNOWN)):
        if sizes is None or i >= len(sizes.kinds) or sizes.kinds[i] == UNKNOWN:
            return shape
        values[i], kinds[i] = sizes.values[i], sizes.kinds[i]
    known = kinds == KNOWN
    if (values[known] == 0).any():
        return shape
    shape = with_the_last_left_open(Partial(values, kinds))
    values, kinds = shape.values.copy(), shape.kinds.copy()
    places = np.flatnonzero((values == -1) & (kinds == KNOWN))
    if len(places) == 1 and sizes is not None and not (sizes.kinds == UNKNOWN).any():
        value, kind = _last(np.delete(values, places), np.delete(kinds, places), sizes)
        values[places], kinds[places] = value, kind
    return Partial(values, kinds, not kinds.any())


def with_the_last_left_open(shape: Partial) -> Partial:
    """Return the shape with -1 where one size only is unknown."""
    unknown = shape.kinds == UNKNOWN
    if unknown.sum() != 1 or (shape.values[shape.kinds == KNOWN] <= 0).any():
        return shape
    kinds = np.where(unknown, KNOWN, shape.kinds)
    return Partial(np.where(unknown, -1, shape.values), kinds, not kinds.any())


def _last(values: np.ndarray, kinds: np.ndarray, sizes: Partial) -> tuple[int, int]:
    """Return the value and kind of the one size that is not among the others, or -1 and KNOWN."""
    own, others = (Counter(k for k in x.tolist() if k != KNOWN) for x in (sizes.kinds, kinds))
    missing = list((own - others).elements())
    # as Python's numbers, which do not overflow
    whole = math.prod(sizes.values[sizes.kinds == KNOWN].tolist())
    part = math.prod(values[kinds == KNOWN].tolist())
    if others - own or part <= 0 or whole % part or len(missing) > 1:
        return -1, KNOWN
    if not missing:
        return whole // part, KNOWN
    return (1, missing[0]) if whole == part else (-1, KNOWN)
