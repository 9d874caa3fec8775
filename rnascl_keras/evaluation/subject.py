"""A classifier and the images that it is attacked on, checked to fit each other."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from tqdm import tqdm

from rnascl_keras.attacks import Attack, losses
from rnascl_keras.attacks.classifier import (
    Batched,
    any_follows_gradient,
    as_classifier,
    gradient_complaint,
)
from rnascl_keras.attacks.inputs import check_logits, check_whole, checked_labels
from rnascl_keras.attacks.state import Found
from rnascl_keras.attacks.verdict import NO_CLASS, given_class, is_right
from rnascl_keras.attacks.whole_pixels import as_it_sees, takes_whole_pixels
from rnascl_keras.errors import ModelFailed, UserError
from rnascl_keras.evaluation.examples import SHOWN, Examples
from rnascl_keras.evaluation.false_robustness import Check, check_robustness
from rnascl_keras.evaluation.parts import Parts
from rnascl_keras.progress import progress_bar
from rnascl_keras.units import percent

COMPARED = 128
"""Images on which a graph that gives gradients is compared with the file that gives logits."""
LEAST_AGREEMENT = 0.8
FIRST = 8
"""Images whose gradient is looked at before any attack follows it."""
FLAT = (
    "The gradient is zero or undefined on all of the first images: attacks that follow it find "
    "nothing, and what they leave says nothing about robustness. Attack by score: square."
)


@dataclass(frozen=True)
class Attacked:
    """What an attack left.

    Attributes:
        robust: (n,) whether each image is still classified right.
        answers: (n,) the class that each image, as the attack left it, is given.
        examples: a few that fell.
        images: (n, h, w, c), those made; None where they are not wanted.
    """

    robust: np.ndarray
    answers: np.ndarray
    examples: Examples
    images: np.ndarray | None


@dataclass(frozen=True)
class Subject:
    """What is measured, by whatever attack.

    Attributes:
        classifier: of the images, a batch at a time.
        images: (n, h, w, c), a part at a time.
        labels: (n,) integers.
        logits: (n, classes), of the clean images.
        seed: of what is random in attacks.
        progress: whether bars and remarks are shown on standard error.
    """

    classifier: Batched
    images: Parts
    labels: np.ndarray
    logits: np.ndarray
    seed: int
    progress: bool

    @classmethod
    def of(
        cls, model: Any, images: Any, labels: Any, seed: int, batch_size: int, progress: bool
    ) -> Subject:
        """Check what `evaluate` is given, and ask the model about the clean images.

        A Keras model that ends in a softmax or a sigmoid is attacked at the logits before it, and
        one output is two classes; with `progress`, standard error says so.

        Raises:
            UserError: images, labels and model do not fit each other, or the seed is negative.
        """
        parts = Parts(images, whole=takes_whole_pixels(model))
        parts.first(1)  # that they are images is told before anything else
        labels = checked_labels(labels, len(parts))
        check_whole("seed", seed)
        check_whole("batch_size", batch_size, 1)
        classifier = Batched(_as_classifier(model, progress), batch_size)
        known = _remarks(classifier.classifier)
        logits = np.concatenate([_logits(classifier, parts, rows) for rows in parts.rows()])
        if progress:  # what shows only when the model is asked
            _say([x for x in _remarks(classifier.classifier) if x not in known])
        check_logits(logits, labels)
        return cls(classifier, parts, labels, logits, seed, progress)

    @property
    def classes(self) -> int:
        """How many classes the classifier tells apart."""
        return self.logits.shape[1]

    @cached_property
    def complaint(self) -> str | None:
        """Why the classifier has no gradient to follow, None where it has one."""
        return gradient_complaint(self.classifier, self.images.first(1))

    def check_gradient(self, attacks: Sequence[Attack]) -> None:
        """Raise UserError where an attack follows a gradient that the classifier has not."""
        followed = any_follows_gradient(attacks)
        if followed and self.complaint:
            raise UserError(self.complaint)
        if followed and self.progress and self._is_flat():
            print(FLAT, file=sys.stderr)
        agreement = getattr(self.classifier.classifier, "agreement", None)
        if followed and agreement:
            self._say_agreement(agreement(self.images.first(COMPARED)))

    def _is_flat(self) -> bool:
        """Return whether the gradient is zero everywhere on the first images."""
        labels = self.labels[:FIRST]
        asked = self.images.first(FIRST), losses.log_odds, labels, labels
        try:
            return not self.classifier.logits_and_gradient(*asked)[1].any()
        except ModelFailed:  # an attack will meet it, too, and what is measured then is kept
            return False

    def _say_agreement(self, share: float) -> None:
        """Say how far gradients can be trusted that are not the classifier's own."""
        if share < 1 and self.progress:
            print(
                f"Gradients come from a float graph of the same network; it says the same class on "
                f"{percent(share)} % of the first {min(COMPARED, len(self.images))} images.",
                file=sys.stderr,
            )
        if share < LEAST_AGREEMENT:
            raise UserError(
                f"the float graph that gradients would come from says the file's class on only "
                f"{percent(share)} % of the images; attack it by score: --attacks square."
            )

    def under(self, attack: Attack, *, keep: bool) -> Attacked:
        """Attack all images, showing the share of them that is still classified right.

        Args:
            attack: what is done to them.
            keep: whether the images made are wanted: all of them are then held in memory.
        """
        robust, images = np.zeros(len(self.images), bool), []
        answers, examples = self.logits.argmax(axis=1), Examples.none()
        right = is_right(self.logits, self.labels)
        with progress_bar(
            total=len(self.images), desc=attack.key, unit="image", wanted=self.progress
        ) as bar:
            for rows in self.images.rows():
                own = self.images.of(rows)
                found = self._attack_part(attack, rows, own, robust[: rows.start].sum(), bar)
                robust[rows] = found.robust
                images += [found.images] if keep else []
                fell = np.flatnonzero(right[rows] & ~found.robust)
                if not len(fell):
                    continue
                said = self._answers(found.images[fell], rows.start + fell)
                answers[rows.start + fell] = said
                named = np.flatnonzero(said != NO_CLASS)[:SHOWN]
                few = fell[named]
                shown = own[few], self.labels[rows][few], found.images[few], said[named]
                examples = examples.with_more(rows.start + few, *shown)
        made = np.concatenate(images) if keep else None
        return Attacked(robust, answers, examples, made)

    def _attack_part(
        self, attack: Attack, rows: slice, images: np.ndarray, before: int, bar: tqdm
    ) -> Found:
        """Attack `images`, those of `rows`; `before` so many of those before them were robust."""
        labels = self.labels[rows]

        def tell(share: float, right: float) -> None:
            done = rows.start + share * len(images)
            so_far = (before + right * len(images)) / rows.stop
            bar.set_postfix(accuracy=f"{so_far:.3f}", refresh=False)
            bar.update(int(done) - bar.n)

        indices = np.arange(rows.start, rows.stop)
        found = attack.run(
            self.classifier,
            images,
            labels,
            self.logits[rows],
            indices=indices,
            seed=self.seed,
            progress=tell,
        )
        found = as_it_sees(found, attack, self.classifier, images, labels)
        tell(1.0, float(found.robust.mean()))
        return found

    def _answers(self, images: np.ndarray, numbers: np.ndarray) -> np.ndarray:
        """Return the class that each of some images, which have these numbers, is given, or
        `NO_CLASS`."""
        try:
            return given_class(self.classifier.logits(images))
        except ModelFailed as error:
            raise error.on(numbers[0], numbers[-1]) from error

    def right(self, found: dict[str, Attacked]) -> dict[str, np.ndarray]:
        """Return which images are classified right, (n,) bool: by the keys of what attacks have
        found, ``clean`` before them, and last ``worst``, under all of these."""
        right = {"clean": is_right(self.logits, self.labels)}
        right |= {key: attacked.robust for key, attacked in found.items()}
        return right | {"worst": np.all(list(right.values()), axis=0)}

    def look_for_signs(self, n: int, epsilon: float, norm: str, other: Any) -> Check | None:
        """Look for false robustness on the first n images, see `check_robustness`; None, and said
        on standard error, where there is no gradient to doubt, or no attack that follows it."""
        nothing = "in L0 no attack follows the gradient" if norm == "L0" else None
        if complaint := self.complaint or nothing:
            if self.progress:
                print(f"No check for false robustness: {complaint}", file=sys.stderr)
            return None
        return check_robustness(
            self.classifier.classifier,
            self.images.first(n),
            self.labels[:n],
            other=other,
            progress=self.progress,
            epsilon=epsilon,
            norm=norm,
            seed=self.seed,
            batch_size=self.classifier.batch_size,
        )


def _logits(classifier: Batched, parts: Parts, rows: slice) -> np.ndarray:
    """Return the logits of some images."""
    try:
        return classifier.logits(parts.of(rows))
    except ModelFailed as error:
        if error.where is None:
            raise
        raise error.on(rows.start + error.where[0], rows.start + error.where[1]) from error


def _as_classifier(model: Any, progress: bool) -> Any:
    classifier = as_classifier(model)
    if progress and classifier is not model:
        _say(_remarks(classifier))
    return classifier


def _remarks(classifier: Any) -> list[str]:
    return list(getattr(classifier, "remarks", ()))


def _say(remarks: list[str]) -> None:
    if remarks:
        print(f"The model: {'; '.join(remarks)}.", file=sys.stderr)
