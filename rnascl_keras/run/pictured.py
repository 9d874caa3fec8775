"""The test images that a report shows: some that its student was fooled on, and some that held."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import keras
import numpy as np

from rnascl_keras.attacks import make_attack
from rnascl_keras.evaluation.examples import SHOWN, Examples
from rnascl_keras.run.workdir import Run

LOOKED_AT = 64
COUPLES, FOOLED_COUPLES = 4, 2


@dataclass(frozen=True)
class Pictured:
    """What is shown of the first test images.

    Attributes:
        images: (2 k, h, w, c), pixels in [0, 1]: each followed by itself, attacked.
        labels: (2 k,) their classes.
        fooled: those that were classified right, and wrong under attack, at most `SHOWN`.
    """

    images: np.ndarray
    labels: np.ndarray
    fooled: Examples


def pictured(run: Run, student: keras.Model) -> Pictured:
    """Attack the first images by PGD-20 and return the first that fell, and the first that held."""
    images, labels = run.data.test.first(LOOKED_AT)
    attack = make_attack("pgd", run.recipe.evaluation.epsilon)
    attacked = attack.perturb(student, images, labels, seed=run.recipe.seed)
    answers = predictions(student, attacked)
    fell = (predictions(student, images) == labels) & (answers != labels)
    fooled, others = np.flatnonzero(fell), np.flatnonzero(~fell)
    rows = fooled[:SHOWN]
    few = fooled[: max(FOOLED_COUPLES, COUPLES - len(others))]
    chosen = np.concatenate([few, others])[:COUPLES]
    # k x (h, w, c), twice -> (2 k, h, w, c)
    couples = np.stack([images[chosen], attacked[chosen]], axis=1).reshape(-1, *images.shape[1:])
    examples = Examples(rows, images[rows], labels[rows], attacked[rows], answers[rows])
    return Pictured(couples, np.repeat(labels[chosen], 2), examples)


def predictions(student: keras.Model, images: np.ndarray) -> np.ndarray:
    """Return the class that each image, (n, h, w, c), is given."""
    silent: Any = 0  # the type of `predict`, made from its default, allows only for words
    return np.argmax(student.predict(images, verbose=silent), axis=-1)
