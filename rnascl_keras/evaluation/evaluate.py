"""Clean and robust accuracy of a classifier, with its uncertainty.

Of a Keras model, or of anything else that gives logits and, for attacks that follow it, their
gradient: then neither TensorFlow nor Keras is imported.
"""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from scipy.stats import binomtest
from tqdm import tqdm

from rnascl_keras.attacks import Attack, make_attack
from rnascl_keras.attacks.classifier import Batched, as_classifier, gradient_complaint
from rnascl_keras.attacks.inputs import check_logits, check_seed, checked_images, checked_labels
from rnascl_keras.attacks.state import Found
from rnascl_keras.errors import UserError
from rnascl_keras.evaluation.false_robustness import IMAGES, Check, check_robustness

LogitsFunction = Callable[[np.ndarray], np.ndarray]


@dataclasses.dataclass(frozen=True)
class Evaluation:
    """What was measured.

    Attributes:
        n: number of images.
        norm: of the ball, "Linf" or "L2".
        epsilon: its radius; for L-infinity in pixel units of [0, 1].
        seed: of what was random.
        accuracy: by key, from 0 to 1: "clean", each attack's key, and "worst", the images that are
            classified right when clean and under every attack.
        intervals: by the same keys, the 95 % Wilson interval [low, high]: what drawing other
            images would change, not what a stronger attack would.
        per_class: by the same keys, the accuracy of each class; None where it has no image.
        class_counts: number of images of each class.
        right: by the same keys, which images are classified right, (n,) bool.
        check: whether the robustness may be false, see `false_robustness.Check`; None where that
            was not looked at.
    """

    n: int
    norm: str
    epsilon: float
    seed: int
    accuracy: dict[str, float]
    intervals: dict[str, list[float]]
    per_class: dict[str, list[float | None]]
    class_counts: list[int]
    right: dict[str, np.ndarray]
    check: Check | None = None

    @classmethod
    def of(
        cls, right: dict[str, np.ndarray], labels: np.ndarray, classes: int, **asked: Any
    ) -> Evaluation:
        """Sum up `right` for images of these labels, (n,); `asked` are the other attributes."""
        counts = np.bincount(labels, minlength=classes)
        return cls(
            n=len(labels),
            accuracy={key: float(np.mean(value)) for key, value in right.items()},
            intervals={key: wilson_interval(value) for key, value in right.items()},
            per_class={key: _by_class(value, labels, counts) for key, value in right.items()},
            class_counts=counts.tolist(),
            right=right,
            **asked,
        )

    def as_dict(self) -> dict:
        """Return the evaluation as plain JSON values, without the single images."""
        plain = dict(vars(self))
        del plain["right"]
        plain["check"] = self.check.as_dict() if self.check else None
        return plain


def evaluate(
    model: Any,
    images: np.ndarray,
    labels: np.ndarray,
    *,
    attacks: Sequence[str] = ("fgsm", "pgd", "mi_fgsm"),
    epsilon: float = 8 / 255,
    norm: str = "Linf",
    seed: int = 0,
    batch_size: int = 128,
    check: int = IMAGES,
    other: Any = None,
    progress: bool = True,
) -> tuple[Evaluation, dict[str, np.ndarray]]:
    """Measure the model's accuracy on clean images and under each attack.

    A Keras model whose last layer is a softmax is attacked at the logits before it; with
    `progress`, standard error says so.

    Args:
        model: a Keras model, (batch, h, w, c) in [0, 1] -> (batch, classes), run in inference mode;
            or any `attacks.Classifier`.
        images: (n, h, w, c), float pixels in [0, 1] or uint8.
        labels: (n,) integers.
        attacks: names as `attacks.make_attack` takes them.
        epsilon: radius of the ball; for L-infinity in pixel units of [0, 1].
        norm: "Linf" or "L2".
        seed: of what is random, not negative.
        batch_size: images that the model sees at a time.
        check: number of images, the first ones, on which signs of false robustness are looked for
            after the attacks; 0 leaves that out.
        other: for the check, another model for these images, whose adversarial images may transfer.
        progress: show a bar with the running accuracy for each attack.

    Returns:
        The evaluation, and by attack key the adversarial images, (n, h, w, c).

    Raises:
        UserError: images, labels and model do not fit each other, or an attack is unknown.
    """
    chosen = [make_attack(name, epsilon, norm=norm) for name in attacks]
    images = checked_images(images)
    labels = checked_labels(labels, len(images))
    check_seed(seed)
    classifier = Batched(_as_classifier(model, progress), batch_size)
    logits = classifier.logits(images)
    check_logits(logits, labels)

    complaint = gradient_complaint(classifier, images) if chosen else None
    if complaint and any(getattr(attack, "follows_gradient", True) for attack in chosen):
        raise UserError(complaint)

    right = {"clean": logits.argmax(axis=-1) == labels}
    adversarial = {}
    for attack in chosen:
        found = _under_attack(attack, classifier, images, labels, logits, seed, progress)
        adversarial[attack.key], right[attack.key] = found.images, found.robust
    right["worst"] = np.all(list(right.values()), axis=0)
    checked = None
    if chosen and check and complaint:
        if progress:
            print(f"No check for false robustness: {complaint}", file=sys.stderr)
    elif chosen and check:
        checked = check_robustness(
            classifier.classifier,
            images[:check],
            labels[:check],
            other=other,
            progress=progress,
            epsilon=epsilon,
            norm=norm,
            seed=seed,
            batch_size=batch_size,
        )
    asked = {"norm": norm, "epsilon": float(epsilon), "seed": seed, "check": checked}
    return Evaluation.of(right, labels, logits.shape[1], **asked), adversarial


def accuracy_of(logits_of: LogitsFunction, images: np.ndarray, labels: np.ndarray) -> float:
    """Return the share of images, (n, h, w, c), whose largest logit is their label's, (n,)."""
    return float(np.mean(logits_of(images).argmax(axis=-1) == labels))


def wilson_interval(right: np.ndarray) -> list[float]:
    """Return [low, high], the 95 % Wilson score interval of the share of True in `right`, (n,)."""
    interval = binomtest(int(np.sum(right)), len(right)).proportion_ci(0.95, method="wilson")
    return [float(interval.low), float(interval.high)]


def _by_class(right: np.ndarray, labels: np.ndarray, counts: np.ndarray) -> list[float | None]:
    correct = np.bincount(labels[right], minlength=len(counts))
    return [float(c / n) if n else None for c, n in zip(correct, counts, strict=True)]


def _under_attack(
    attack: Attack,
    classifier: Batched,
    images: np.ndarray,
    labels: np.ndarray,
    logits: np.ndarray,
    seed: int,
    progress: bool,
) -> Found:
    """Attack all images, showing the share of them that is still classified right."""
    with tqdm(total=len(images), desc=attack.key, unit="image", disable=not progress) as bar:

        def tell(share: float, right: float) -> None:
            bar.set_postfix(accuracy=f"{right:.3f}", refresh=False)
            bar.update(int(share * len(images)) - bar.n)

        found = attack.run(classifier, images, labels, logits, seed=seed, progress=tell)
        tell(1.0, float(found.robust.mean()))
    return found


def _as_classifier(model: Any, progress: bool) -> Any:
    classifier = as_classifier(model)
    if progress and classifier is not model and classifier.ends_in_softmax:
        print("The model ends in a softmax: the logits before it are attacked.", file=sys.stderr)
    return classifier
