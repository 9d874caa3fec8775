"""What is run beside attacks whose gradient goes through rounding."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from rnascl_keras.evaluation.request import Request

BESIDE = "square"


def with_square_beside(
    name: str, classifier: Any, request: Request, say: Callable[[str], None]
) -> Request:
    """Return what is asked, with Square where an attack follows a gradient through what rounds.

    Args:
        name: of the model, for what is said.
        classifier: has `straight_through()`, which names what rounds.
        request: as it was given.
        say: is told of it.
    """
    if BESIDE in request.attacks or not request.follows_gradient:
        return request
    rounding = classifier.straight_through()
    if not rounding:
        return request
    say(
        f"{name}: gradients go through {', '.join(rounding)} as if it did not round, "
        f"which can mislead attacks that follow them; {BESIDE} is run beside."
    )
    return replace(request, attacks=[*request.attacks, BESIDE])
