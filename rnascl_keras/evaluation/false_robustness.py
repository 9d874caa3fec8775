"""Is the robustness real? A check for gradients that mislead the attacks that follow them.

A model whose gradients are masked looks robust to attacks by gradient and is not. The signs are
known (Athalye et al., 2018, section 3.1; Carlini et al., 2019): what ought to be weaker than a
gradient attack of many steps breaks images that it leaves. All are looked for on a small sample.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from rnascl_keras.attacks import APGD, FGSM, PGD, Attack, Square, losses
from rnascl_keras.attacks.classifier import Batched, Classifier, as_classifier
from rnascl_keras.attacks.norms import PIXELS, check_epsilon, find_norm
from rnascl_keras.attacks.verdict import is_right
from rnascl_keras.progress import progress_bar

IMAGES = 200
QUERIES = 500
LIMIT = 0.05
"""Share of the images that a sign may concern by chance, but at least two, and never all."""
FEWEST = 20


@dataclasses.dataclass(frozen=True)
class Finding:
    """One sign looked for.

    Attributes:
        name: `gradient`, `random`, `single_step`, `black_box`, `effort`, `radius` or `transfer`.
        share: of the images that the sign concerns, from 0 to 1.
        passed: whether that is few enough to be chance.
        words: the finding in one phrase.
    """

    name: str
    share: float
    passed: bool
    words: str


@dataclasses.dataclass(frozen=True)
class Check:
    """All findings on one model.

    Attributes:
        n: number of images looked at.
        passed: whether no sign was found.
        verdict: in one sentence.
        findings: one for each sign.
    """

    n: int
    passed: bool
    verdict: str
    findings: tuple[Finding, ...]

    def as_dict(self) -> dict[str, Any]:
        """Return the check as plain JSON values."""
        return dataclasses.asdict(self) | {"findings": [vars(f) for f in self.findings]}


def check_robustness(
    model: Any,
    images: np.ndarray,
    labels: np.ndarray,
    *,
    epsilon: float,
    norm: str = "Linf",
    other: Any = None,
    queries: int = QUERIES,
    seed: int = 0,
    batch_size: int = 128,
    progress: bool = False,
) -> Check:
    """Look for the signs of masked gradients on all of the images.

    PGD-20 goes first, in L1 APGD, for PGD is weak there; each other attack is tried on the images
    that it leaves, and ought to break next to none of them.

    Args:
        model: a Keras model or any `attacks.Classifier` that gives gradients.
        images: (n, h, w, c), pixels in [0, 1]; a few hundred are enough.
        labels: (n,) integers.
        epsilon: radius at which the model is to be robust.
        norm: "Linf", "L2" or "L1".
        other: another model for the same images, to make images on that may transfer.
        queries: of Square.
        seed: of what is random.
        batch_size: images that the model sees at a time.
        progress: show a bar.

    Raises:
        UserError: the radius is not above 0, or larger than the norm's largest.
    """
    check_epsilon(epsilon, norm)
    sample = _Sample(
        Batched(as_classifier(model), batch_size), images, labels, epsilon, norm, seed, queries
    )
    others = [] if other is None else [Batched(as_classifier(other), batch_size)]
    total = 6 + len(others)
    findings = tuple(progress_bar(sample.findings(others), "check", total, wanted=progress))
    passed = all(finding.passed for finding in findings)
    return Check(len(images), passed, _verdict(findings, len(images)), findings)


def _verdict(findings: Sequence[Finding], n: int) -> str:
    signs = [finding.words for finding in findings if not finding.passed]
    if not signs:
        few = ", which are too few to tell" if n < FEWEST else ""
        return f"No sign of false robustness on {n} images{few}."
    if all(finding.passed or finding.name == "random" for finding in findings):
        wrong = "The model is random, so the figures can be too good or too bad"
    else:
        wrong = "False robustness is likely, and the figures too good"
    return f"{wrong}: {'; '.join(signs)}."


class _Sample:
    """The images looked at, and which of them the first attack leaves."""

    def __init__(
        self,
        classifier: Batched,
        images: np.ndarray,
        labels: np.ndarray,
        epsilon: float,
        norm: str,
        seed: int,
        queries: int,
    ) -> None:
        self.classifier, self.images, self.labels = classifier, images, labels
        self.epsilon, self.norm, self.seed, self.queries = epsilon, norm, seed, queries
        self.logits = classifier.logits(images)
        self.left = np.flatnonzero(is_right(self.logits, labels))

    def findings(self, others: Sequence[Classifier]) -> Iterator[Finding]:
        yield self._gradients()
        yield self._randomness()
        first = self._first(self.epsilon)
        self.left = self.left[self._survives(first)]
        but = f"but not to {first.name}"
        yield self._challenge("single_step", FGSM(self.epsilon, norm=self.norm), f"FGSM {but}")
        square = Square(self.epsilon, norm=self.norm, queries=self.queries)
        yield self._challenge("black_box", square, f"{self.queries} queries by Square {but}")
        harder, words = self._harder()
        yield self._challenge("effort", harder, f"{words} {but}")
        for other in others:
            yield self._transfer(other)
        yield self._large_radius()

    def _first(self, epsilon: float) -> Attack:
        """Return the attack by gradient that others are held against."""
        kind = APGD if self.norm == "L1" else PGD
        return kind(epsilon, norm=self.norm)

    def _harder(self) -> tuple[Attack, str]:
        """Return the same with more effort, and what that is in words."""
        if self.norm == "L1":
            harder = APGD(self.epsilon, norm=self.norm, steps=200, restarts=2)
            return harder, "200 steps from 2 starts"
        step = self.epsilon / 10
        finer = PGD(self.epsilon, norm=self.norm, steps=50, step_size=step, restarts=2)
        return finer, "50 finer steps from 2 starts"

    def _finding(self, name: str, count: int, words: str) -> Finding:
        share = count / len(self.images)
        few = count <= max(2, LIMIT * len(self.images)) and share < 1
        return Finding(name, share, few, words)

    def _gradients(self) -> Finding:
        """Where the gradient is 0 or undefined, there is nothing to follow. Asked of the bare
        classifier: a batched one cleans up what is undefined."""
        useless = 0
        for first in range(0, len(self.images), self.classifier.batch_size):
            rows = slice(first, first + self.classifier.batch_size)
            labels = self.labels[rows]
            _, gradient = self.classifier.classifier.logits_and_gradient(
                self.images[rows], losses.log_odds, labels, labels
            )
            # of an infinite one, an attack follows the sign
            fine = ~np.isnan(gradient).any(axis=PIXELS) & np.any(gradient != 0, axis=PIXELS)
            useless += int(np.sum(~fine))
        words = f"the gradient is zero or undefined on {useless} of {len(self.images)} images"
        return self._finding("gradient", useless, words)

    def _randomness(self) -> Finding:
        again = self.classifier.logits(self.images)
        scale = 1e-4 * (1 + np.abs(self.logits).max(axis=1))
        # written so that a NaN is a change too
        changed = int(np.sum(~(np.abs(again - self.logits).max(axis=1) <= scale)))
        words = f"asked twice, the model answers differently on {changed} images"
        if changed:
            words += " (a random model: average its gradients, as AutoAttack's version rand does)"
        return self._finding("random", changed, words)

    def _challenge(self, name: str, attack: Attack, words: str) -> Finding:
        """Try an attack on what the first has left."""
        broken = int(np.sum(~self._survives(attack)))
        return self._finding(name, broken, f"{self._percent(broken)} of the images fall to {words}")

    def _transfer(self, other: Classifier) -> Finding:
        images, labels = self.images[self.left], self.labels[self.left]
        broken = 0
        if len(images):
            source = PGD(self.epsilon, norm=self.norm, stop_early=False)
            logits = other.logits(images)
            made = source.run(other, images, labels, logits, indices=self.left, seed=self.seed)
            broken = int(np.sum(~is_right(self.classifier.logits(made.images), labels)))
        words = f"images made on another model but not to {self._first(self.epsilon).name}"
        return self._finding(
            "transfer", broken, f"{self._percent(broken)} of the images fall to {words}"
        )

    def _large_radius(self) -> Finding:
        """Within half the range of pixels every image can be turned into grey."""
        largest = 0.5 * float(find_norm(self.norm).length(np.ones_like(self.images[:1]))[0])
        radius = self.epsilon
        while len(self.left) and radius < largest:
            radius = min(2 * radius, largest)
            self.left = self.left[self._survives(self._first(radius))]
        share = self._percent(len(self.left))
        name = self._first(radius).name
        words = f"{share} of the images survive {name} at radius {radius:.3g}"
        return self._finding("radius", len(self.left), words)

    def _survives(self, attack: Attack) -> np.ndarray:
        """Return which of the images left survive an attack, (len(left),)."""
        if not len(self.left):
            return np.ones(0, bool)
        return attack.run(
            self.classifier,
            self.images[self.left],
            self.labels[self.left],
            self.logits[self.left],
            indices=self.left,
            seed=self.seed,
        ).robust

    def _percent(self, count: int) -> str:
        return f"{100 * count / len(self.images):.1f} %"
