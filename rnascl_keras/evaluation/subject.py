"""A classifier and the images that it is attacked on, checked to fit each other."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from tqdm import tqdm

from rnascl_keras.attacks import Attack
from rnascl_keras.attacks.classifier import Batched, as_classifier, gradient_complaint
from rnascl_keras.attacks.inputs import check_logits, check_seed, checked_images, checked_labels
from rnascl_keras.attacks.state import Found
from rnascl_keras.attacks.verdict import is_right
from rnascl_keras.attacks.whole_pixels import as_it_sees
from rnascl_keras.errors import UserError
from rnascl_keras.evaluation.false_robustness import Check, check_robustness
from rnascl_keras.units import percent

COMPARED = 128
"""Images on which a graph that gives gradients is compared with the file that gives logits."""
LEAST_AGREEMENT = 0.8


@dataclass(frozen=True)
class Subject:
    """What is measured, by whatever attack.

    Attributes:
        classifier: of the images, a batch at a time.
        images: (n, h, w, c), float pixels in [0, 1].
        labels: (n,) integers.
        logits: (n, classes), of the clean images.
        seed: of what is random in attacks.
        progress: whether bars and remarks are shown on standard error.
    """

    classifier: Batched
    images: np.ndarray
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
        images = checked_images(images)
        labels = checked_labels(labels, len(images))
        check_seed(seed)
        classifier = Batched(_as_classifier(model, progress), batch_size)
        logits = classifier.logits(images)
        check_logits(logits, labels)
        return cls(classifier, images, labels, logits, seed, progress)

    @property
    def classes(self) -> int:
        """How many classes the classifier tells apart."""
        return self.logits.shape[1]

    @cached_property
    def complaint(self) -> str | None:
        """Why the classifier has no gradient to follow, None where it has one."""
        return gradient_complaint(self.classifier, self.images)

    def check_gradient(self, attacks: Sequence[Attack]) -> None:
        """Raise UserError where an attack follows a gradient that the classifier has not."""
        followed = any(getattr(attack, "follows_gradient", True) for attack in attacks)
        if followed and self.complaint:
            raise UserError(self.complaint)
        agreement = getattr(self.classifier.classifier, "agreement", None)
        if followed and agreement:
            self._say_agreement(agreement(self.images[:COMPARED]))

    def _say_agreement(self, share: float) -> None:
        """Say how far gradients can be trusted that are not the classifier's own."""
        if share < 1 and self.progress:
            print(
                f"Gradients come from a float graph of the same network; it says the same class on "
                f"{percent(share)} % of the first {len(self.images[:COMPARED])} images.",
                file=sys.stderr,
            )
        if share < LEAST_AGREEMENT:
            raise UserError(
                f"the float graph that gradients would come from says the file's class on only "
                f"{percent(share)} % of the images; attack it by score: --attacks square."
            )

    def under(self, attack: Attack) -> Found:
        """Attack all images, showing the share of them that is still classified right."""
        images, key = self.images, attack.key
        with tqdm(total=len(images), desc=key, unit="image", disable=not self.progress) as bar:

            def tell(share: float, right: float) -> None:
                bar.set_postfix(accuracy=f"{right:.3f}", refresh=False)
                bar.update(int(share * len(images)) - bar.n)

            found = attack.run(
                self.classifier, images, self.labels, self.logits, seed=self.seed, progress=tell
            )
            found = as_it_sees(found, attack, self.classifier, images, self.labels)
            tell(1.0, float(found.robust.mean()))
        return found

    def right(self, found: dict[str, Found]) -> dict[str, np.ndarray]:
        """Return which images are classified right, (n,) bool: by the keys of what attacks have
        found, ``clean`` before them, and last ``worst``, under all of these."""
        right = {"clean": is_right(self.logits, self.labels)}
        right |= {key: attacked.robust for key, attacked in found.items()}
        return right | {"worst": np.all(list(right.values()), axis=0)}

    def look_for_signs(self, n: int, epsilon: float, norm: str, other: Any) -> Check | None:
        """Look for false robustness on the first n images, see `check_robustness`; None, and said
        on standard error, where there is no gradient to doubt."""
        if self.complaint:
            if self.progress:
                print(f"No check for false robustness: {self.complaint}", file=sys.stderr)
            return None
        return check_robustness(
            self.classifier.classifier,
            self.images[:n],
            self.labels[:n],
            other=other,
            progress=self.progress,
            epsilon=epsilon,
            norm=norm,
            seed=self.seed,
            batch_size=self.classifier.batch_size,
        )


def _as_classifier(model: Any, progress: bool) -> Any:
    classifier = as_classifier(model)
    remarks = getattr(classifier, "remarks", ())
    if progress and classifier is not model and remarks:
        print(f"The model: {'; '.join(remarks)}.", file=sys.stderr)
    return classifier
