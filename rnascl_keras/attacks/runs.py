"""The runs of an attack: which are made side by side, and what each begins with."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from rnascl_keras.attacks.classifier import Classifier
from rnascl_keras.attacks.state import State

IN_FLIGHT = 64 * 2**20
"""Bytes of images that are worked on at a time, at least a batch: an attack holds several arrays of
this size."""


@dataclass(frozen=True)
class Runs:
    """All runs of an attack on n images: against each target, as many as there are restarts.

    Attributes:
        classifier: the model.
        images, labels: (n, h, w, c), (n,).
        targets: (runs, n) the class that each run heads for; those of one target follow each other.
        restarts: number of runs against each target.
        indices: (n,) what an image's random numbers depend on, beside the seed and the run.
        seed: of what is random.
    """

    classifier: Classifier
    images: np.ndarray
    labels: np.ndarray
    targets: np.ndarray
    restarts: int
    indices: np.ndarray
    seed: int

    def __len__(self) -> int:
        return len(self.targets)

    def groups(self) -> Iterator[np.ndarray]:
        """Yield the numbers of runs made side by side: the first alone, for most images that fall,
        fall in it; then all others, so that few images, too, fill a batch."""
        return filter(len, np.split(np.arange(len(self)), [1]))

    def portions(self, group: np.ndarray, rows: np.ndarray) -> list[np.ndarray]:
        """Divide images, (m,), into those that a group of runs works on at a time."""
        size = max(1, IN_FLIGHT // (len(group) * self.images[:1].nbytes))
        return [rows[first : first + size] for first in range(0, len(rows), size)]

    def begin(self, kind: type[State], group: np.ndarray, rows: np.ndarray) -> State:
        """Return the state, of this kind, in which a group of runs begins on images, (m,): all
        images of the first run, then all of the second, and so on."""
        every, run = np.tile(rows, len(group)), np.repeat(group, len(rows))
        seeds = zip(self.indices[every].tolist(), run.tolist(), strict=True)
        generators = [np.random.default_rng((self.seed, *own)) for own in seeds]
        return kind(
            classifier=self.classifier,
            rows=every,
            images=self.images[every],
            labels=self.labels[every],
            targets=self.targets[run, every],
            generators=np.array(generators, dtype=object),
            restart=run % self.restarts,
        )
