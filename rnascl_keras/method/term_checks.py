"""What is refused of terms, since it would train something else in silence."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import keras

from rnascl_keras.errors import UserError

Tensor = Any


def check_scalars(values: Mapping[str, Tensor]) -> None:
    """Raise UserError where a term gave one value an image: the gradient would be of their sum."""
    for name, value in values.items():
        if len(value.shape):
            raise UserError(
                f"term {name!r} gave values of shape {tuple(value.shape)}; expected one number, "
                "such as their mean by keras.ops.mean."
            )


def check_nothing_untrained(parts: Iterable[Any], classifier: keras.Model) -> None:
    """Raise UserError where a term, or what it holds, has weights that would be trained.

    Args:
        parts: terms and attacks; None among them is left out.
        classifier: what is trained.
    """
    trained = {id(v) for v in classifier.trainable_variables}
    for part in filter(None, parts):
        own = [v for v in _variables(part) if v.trainable and id(v) not in trained]
        if own:
            raise UserError(
                f"{getattr(part, 'name', type(part).__name__)!r} has weights of its own, "
                f"{own[0].path} the first, which nothing trains: only the student is. Give it "
                "trainable = False, or make it part of the student."
            )


def _variables(part: Any) -> list[Any]:
    """Return the variables that an object's attributes hold, and theirs of Keras losses."""
    found: list[Any] = []
    for value in keras.tree.flatten(list(getattr(part, "__dict__", {}).values())):
        if isinstance(value, keras.Variable):
            found.append(value)
        elif isinstance(value, keras.layers.Layer):
            found += value.variables
        elif isinstance(value, keras.distillation.DistillationLoss):
            found += _variables(value)
    return found
