"""The test images that a report shows: some that its student was fooled on, and some that held."""

from __future__ import annotations

from dataclasses import dataclass

import keras
import numpy as np

from rnascl_keras.attacks import make_attack
from rnascl_keras.attacks.classifier import as_classifier
from rnascl_keras.attacks.verdict import is_right
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
        answers: (2 k,) the classes that the student gives them.
        fooled: those that were classified right, and wrong under attack, at most `SHOWN`.
    """

    images: np.ndarray
    labels: np.ndarray
    answers: np.ndarray
    fooled: Examples


def pictured(run: Run, student: keras.Model) -> Pictured:
    """Attack the first images by PGD-20 and return the first that fell, and the first that held."""
    images, labels = run.data.test.first(min(LOOKED_AT, len(run.data.test)))
    attack, classifier = make_attack("pgd", run.recipe.evaluation.epsilon), as_classifier(student)
    attacked = attack.perturb(classifier, images, labels, seed=run.recipe.seed)
    logits = [classifier.logits(x) for x in (images, attacked)]
    before, after = (is_right(own, labels) for own in logits)
    fell = before & ~after
    fooled, others = np.flatnonzero(fell), np.flatnonzero(~fell)
    rows = fooled[:SHOWN]
    few = fooled[: max(FOOLED_COUPLES, COUPLES - len(others))]
    chosen = np.concatenate([few, others])[:COUPLES]
    # k x (h, w, c), twice -> (2 k, h, w, c)
    couples = np.stack([images[chosen], attacked[chosen]], axis=1).reshape(-1, *images.shape[1:])
    answers = np.stack([own.argmax(axis=-1) for own in logits], axis=1)  # (n, 2)
    examples = Examples(rows, images[rows], labels[rows], attacked[rows], answers[rows, 1])
    twice = np.repeat(labels[chosen], 2)
    return Pictured(couples, twice, answers[chosen].reshape(-1), examples)
