"""What a step computes only where a term or an attack says that it needs it."""

from __future__ import annotations

from enum import Enum


class Need(Enum):
    """What a term or an attack may need of a step."""

    ADVERSARIAL = "adversarial images"
    INPUT_GRADIENTS = "input gradients"
    LIVE_TEACHER = "answers on other images than the batch's"
    EPOCH_SHARE = "part of the epochs that have begun"


OF_TEACHER = frozenset({Need.INPUT_GRADIENTS, Need.LIVE_TEACHER})
"""What only a teacher can give that holds it."""
