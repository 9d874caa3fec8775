"""Is the clean accuracy any better than guessing? Else no figure under attack means anything.

A file that is given pixels of another scale, or in another order of channels or classes, runs all
the same; what it then says of clean images is no better than chance. So it is of one that was
hardly trained.
"""

from __future__ import annotations

import numpy as np

from rnascl_keras.attacks.verdict import is_right
from rnascl_keras.units import percent

TIMES_CHANCE = 1.5
PART_OF_THE_WAY = 0.25
"""From chance to 1: of two or three classes, 1.5 times chance would be a fair accuracy."""
ONE_CLASS = 0.95
"""Share of the images that is nearly all of them."""
ENOUGH = 8
"""Images, fewer of which can have such answers by chance."""
_CHECK = "check scale, mean and std, channel order, order of labels; or it has hardly learned"


def near_chance(logits: np.ndarray, labels: np.ndarray) -> str | None:
    """Return why clean images are classified about as well as by chance, None where they are not.

    Args:
        logits: (n, classes), of the clean images.
        labels: (n,) integers.
    """
    chance = 1 / logits.shape[1]
    accuracy = float(np.mean(is_right(logits, labels)))
    largest = min(TIMES_CHANCE * chance, chance + PART_OF_THE_WAY * (1 - chance))
    if accuracy <= largest:
        return f"clean accuracy is near chance ({percent(accuracy)} %): {_CHECK}."
    if _one_class_by_one_output(logits) and len(np.unique(labels)) > 1:
        return (
            "the model's one output is never negative, which puts every clean image into class 1: "
            "expected a number that is below 0 for class 0; is it a probability, or a multiple?"
        )
    answers = np.bincount(logits.argmax(axis=1), minlength=logits.shape[1]) / len(labels)
    answer = int(answers.argmax())
    if answers[answer] >= ONE_CLASS and np.mean(labels == answer) < ONE_CLASS - 0.15:
        return (
            f"{percent(float(answers[answer]))} % of the clean images are put into one class, "
            f"{answer}: {_CHECK}."
        )
    return None


def _one_class_by_one_output(logits: np.ndarray) -> bool:
    """Whether these are logits (0, z) of a number z that is never below 0."""
    return (
        len(logits) >= ENOUGH
        and logits.shape[1] == 2
        and not logits[:, 0].any()
        and bool(logits[:, 1].min() >= 0)
    )
