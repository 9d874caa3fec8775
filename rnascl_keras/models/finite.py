"""Numbers that are none: NaN and infinity in a model's variables."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
from keras import ops

from rnascl_keras.errors import UserError


def is_finite(variables: Iterable[Any]) -> bool:
    """Return whether every element of variables or arrays is finite."""
    return all(np.isfinite(ops.convert_to_numpy(variable)).all() for variable in variables)


def check_finite(variables: Iterable[Any], what: str, mend: str) -> None:
    """Raise UserError unless every element is finite.

    Args:
        variables: or arrays.
        what: they are, which starts the message.
        mend: what to do, which ends it.
    """
    if not is_finite(variables):
        raise UserError(f"{what} holds NaN or infinite numbers, as after a divergence; {mend}.")
