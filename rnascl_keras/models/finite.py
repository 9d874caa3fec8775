"""Numbers that are none: NaN and infinity in a model's variables."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

from rnascl_keras.errors import UserError


def is_finite(variables: Iterable[Any]) -> bool:
    """Return whether every element of variables or arrays is finite."""
    arrays = (v if isinstance(v, (np.ndarray, np.generic)) else v.numpy() for v in variables)
    return all(np.isfinite(array).all() for array in arrays)


def check_finite(variables: Iterable[Any], what: str, mend: str) -> None:
    """Raise UserError unless every element is finite.

    Args:
        variables: or arrays.
        what: they are, which starts the message.
        mend: what to do, which ends it.
    """
    if not is_finite(variables):
        raise UserError(f"{what} holds NaN or infinite numbers, as after a divergence; {mend}.")
