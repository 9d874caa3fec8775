"""What an attack has found, and what it knows while it works."""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from typing import Any

import numpy as np

from rnascl_keras.attacks import losses
from rnascl_keras.attacks.classifier import Classifier
from rnascl_keras.attacks.verdict import is_right

PER_IMAGE = {"per_image": True}


@dataclass
class Found:
    """What an attack made of n images.

    Attributes:
        images: (n, h, w, c); an image that was wrong already, as it was.
        robust: (n,) whether each is still classified right.
        margin: (n,) of `images`, see `losses.margin`; -inf where any other image is better.
    """

    images: np.ndarray
    robust: np.ndarray
    margin: np.ndarray

    @classmethod
    def nothing(cls, images: np.ndarray, labels: np.ndarray, logits: np.ndarray) -> Found:
        """What is known before an attack, from the logits of the clean images."""
        return cls(images.copy(), is_right(logits, labels), np.full(len(images), -np.inf))

    def fell(self, rows: np.ndarray, images: np.ndarray, margin: np.ndarray) -> None:
        """Note misclassified images of `rows`; of a row that comes several times, the first."""
        rows, first = np.unique(rows, return_index=True)
        self.images[rows], self.margin[rows], self.robust[rows] = (
            images[first],
            margin[first],
            False,
        )

    def offer(self, rows: np.ndarray, images: np.ndarray, margin: np.ndarray) -> None:
        """Take the images of `rows` whose margin is larger than what there is, and the largest
        where a row comes several times."""
        falling = np.argsort(-margin, kind="stable")
        rows, first = np.unique(rows[falling], return_index=True)
        best = falling[first]
        better = margin[best] > self.margin[rows]
        self.images[rows[better]] = images[best[better]]
        self.margin[rows[better]] = margin[best[better]]

    def merge(self, rows: np.ndarray, other: Found) -> None:
        """Take what another attack has found on `rows`, which had been robust."""
        taken = ~other.robust | (other.margin > self.margin[rows])
        self.images[rows[taken]] = other.images[taken]
        self.margin[rows[taken]] = other.margin[taken]
        self.robust[rows] = other.robust


def per_image(*, given: bool = False) -> Any:
    """Declare an array of a state, with a row for each image and run: `given` when the state is
    made, else None until it is set."""
    if given:
        return field(metadata=PER_IMAGE)
    return field(init=False, default=None, metadata=PER_IMAGE)


@dataclass(kw_only=True, eq=False, slots=True)
class State:
    """What runs side by side know of the images they still attack.

    An attack that has arrays of its own declares them, and sets them in its `start`::

        @dataclass(slots=True)
        class MomentumState(State):
            momentum: np.ndarray = per_image()

    Those declared `per_image` lose the rows of images that fall; all else stays as it is.

    Attributes:
        classifier: the model.
        rows: (b,) which images of the attack's data these are.
        images, labels, targets: (b, h, w, c), (b,), (b,).
        generators: (b,) one `numpy.random.Generator` for each image, of its own seed.
        restart: (b,) the number of the run against this target.
        x: (b, h, w, c) the points looked at.
        logits, loss, gradient: what the model said there; the gradient only where it was asked for.
        best_x, best_loss, best_margin: the points of the largest loss so far, inside the ball.
        improved: (b,) whether `x` was the best so far when it was last looked at.
    """

    classifier: Classifier
    rows: np.ndarray = per_image(given=True)
    images: np.ndarray = per_image(given=True)
    labels: np.ndarray = per_image(given=True)
    targets: np.ndarray = per_image(given=True)
    generators: np.ndarray = per_image(given=True)
    restart: np.ndarray = per_image(given=True)
    x: np.ndarray = per_image()
    logits: np.ndarray = per_image()
    loss: np.ndarray = per_image()
    gradient: np.ndarray = per_image()
    best_x: np.ndarray = per_image()
    best_loss: np.ndarray = per_image()
    best_margin: np.ndarray = per_image()
    improved: np.ndarray = per_image()

    def __post_init__(self) -> None:
        self.x = self.best_x = self.images
        self.best_loss = np.full(len(self), -np.inf)
        self.best_margin = np.full(len(self), -np.inf)
        self.improved = np.ones(len(self), bool)

    def __len__(self) -> int:
        return len(self.rows)

    def keep(self, chosen: np.ndarray) -> None:
        """Drop all images but the chosen, (b,) bool."""
        if chosen.all():
            return
        for declared in fields(self):
            array = getattr(self, declared.name)
            if declared.metadata == PER_IMAGE and array is not None:
                setattr(self, declared.name, array[chosen])

    def note_best(self, inside: np.ndarray) -> None:
        """Remember the points of larger loss than any before, where `inside`, (b,), is true."""
        self.improved = inside & (self.loss > self.best_loss)
        self.best_x = choose(self.improved, self.x, self.best_x)
        self.best_loss = choose(self.improved, self.loss, self.best_loss)
        margin = margins(self.logits, self.labels)
        self.best_margin = choose(self.improved, margin, self.best_margin)


def choose(mask: np.ndarray, yes: np.ndarray, no: np.ndarray) -> np.ndarray:
    """Return, row by row, `yes` where `mask`, (b,), is true, else `no`."""
    return np.where(mask.reshape(-1, *[1] * (yes.ndim - 1)), yes, no)


def margins(logits: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Return the margin of each image, (b,)."""
    return losses.margin(np, logits, labels, labels)[0]
