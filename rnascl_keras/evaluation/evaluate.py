"""Clean and robust accuracy of a classifier, with its uncertainty.

Of a Keras model, or of anything else that gives logits and, for attacks that follow it, their
gradient: then neither TensorFlow nor Keras is imported.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from rnascl_keras.attacks import make_attack
from rnascl_keras.attacks.inputs import check_whole
from rnascl_keras.attacks.norms import check_epsilon
from rnascl_keras.attacks.verdict import NO_CLASS, is_right
from rnascl_keras.attacks.whole_pixels import whole_radius
from rnascl_keras.errors import ModelFailed
from rnascl_keras.evaluation.examples import Examples
from rnascl_keras.evaluation.false_robustness import IMAGES, Check
from rnascl_keras.evaluation.intervals import wilson_interval
from rnascl_keras.evaluation.near_chance import near_chance
from rnascl_keras.evaluation.subject import Attacked, Subject

FEW_CLASSES = 20
LogitsFunction = Callable[[np.ndarray], np.ndarray]


@dataclasses.dataclass(frozen=True)
class Evaluation:
    """What was measured.

    Attributes:
        n: number of images.
        norm: of the ball, "Linf", "L2", "L1" or "L0".
        epsilon: its radius; for L-infinity in pixel units of [0, 1].
        seed: of what was random.
        accuracy: by key, from 0 to 1: "clean", each attack's key, and "worst", the images that are
            classified right when clean and under every attack.
        intervals: by the same keys, the 95 % Wilson interval [low, high]: what drawing other
            images would change, not what a stronger attack would.
        per_class: by the same keys, the accuracy of each class; None where it has no image.
        class_counts: number of images of each class.
        right: by the same keys, which images are classified right, (n,) bool.
        confusion: of clean images and of each attack, how many images of each class (row) are given
            each class (column).
        examples: by attack's key, a few images that fell.
        near_chance: why the clean accuracy is no better than chance, so that the others say nothing
            about robustness; None where it is better.
        failed: what ended the work on a model of a stranger's file before all was measured; None
            where nothing did.
        check: whether the robustness may be false, see `false_robustness.Check`; None where that
            was not looked at, or the clean accuracy is near chance.
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
    confusion: dict[str, list[list[int]]]
    examples: dict[str, Examples]
    near_chance: str | None = None
    failed: str | None = None
    check: Check | None = None

    @classmethod
    def of(cls, subject: Subject, found: dict[str, Attacked], **asked: Any) -> Evaluation:
        """Sum up what attacks have found; `asked` are the other attributes."""
        right, labels, classes = subject.right(found), subject.labels, subject.classes
        counts = np.bincount(labels, minlength=classes)
        answers = {"clean": subject.logits.argmax(axis=1)}
        answers |= {key: attacked.answers for key, attacked in found.items()}
        return cls(
            n=len(labels),
            accuracy={key: float(np.mean(value)) for key, value in right.items()},
            intervals={key: wilson_interval(value) for key, value in right.items()},
            per_class={key: _by_class(value, labels, counts) for key, value in right.items()},
            class_counts=counts.tolist(),
            right=right,
            confusion={key: _confusion(own, labels, classes) for key, own in answers.items()},
            examples={key: attacked.examples for key, attacked in found.items()},
            **asked,
        )

    def as_dict(self) -> dict:
        """Return the evaluation as plain JSON values, without the single images; a confusion of
        more than `FEW_CLASSES` is left out."""
        plain = dict(vars(self))
        del plain["right"], plain["examples"]
        if len(self.class_counts) > FEW_CLASSES:
            del plain["confusion"]
        plain["check"] = self.check.as_dict() if self.check else None
        return plain


def evaluate(
    model: Any,
    images: Any,
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
    keep: bool = True,
) -> tuple[Evaluation, dict[str, np.ndarray]]:
    """Return the accuracy, clean and under each attack, and by attack's key the images it made.

    Args:
        model: (batch, h, w, c) in [0, 1] -> (batch, classes), Keras or an `attacks.Classifier`.
        images: (n, h, w, c), float pixels in [0, 1] or uint8; or a split, an `ImageData`.
        labels: (n,) integers.
        attacks: names as `attacks.make_attack` takes them.
        epsilon: radius of the ball; for L-infinity in pixel units of [0, 1].
        norm: "Linf", "L2", "L1" or "L0".
        seed: of what is random, not negative.
        batch_size: images that the model sees at a time.
        check: number of images, the first ones, to look for false robustness on; 0: none, as at
            radius 0, within which there is nothing to look for.
        other: for that check, another model, whose adversarial images may transfer.
        progress: show on standard error bars with the running accuracy, and remarks.
        keep: return the images made. Else memory does not grow with their number: bytes, or files,
            become floats a part at a time.

    Raises:
        UserError: images, labels and model do not fit each other, or an attack is unknown.
    """
    check_whole("check", check)
    reach = whole_radius(model, check_epsilon(epsilon, norm) if epsilon else 0.0, norm)
    chosen = [make_attack(name, reach, norm=norm) for name in attacks]
    subject = Subject.of(model, images, labels, seed, batch_size, progress)
    subject.check_gradient(chosen)
    guessing = near_chance(subject.logits, subject.labels)
    found: dict[str, Attacked] = {}
    asked: dict[str, Any] = {"norm": norm, "epsilon": float(epsilon), "seed": seed}
    asked["near_chance"] = guessing
    try:
        for attack in chosen:
            found[attack.key] = subject.under(attack, keep=keep)
        if chosen and check and epsilon and not guessing:
            asked["check"] = subject.look_for_signs(check, epsilon, norm, other)
    except ModelFailed as error:  # what was measured before is not lost
        asked["failed"] = str(error)
    evaluation = Evaluation.of(subject, found, **asked)
    made = {key: attacked.images for key, attacked in found.items()}
    return evaluation, {key: images for key, images in made.items() if images is not None}


def accuracy_of(logits_of: LogitsFunction, images: np.ndarray, labels: np.ndarray) -> float:
    """Return the share of images, (n, h, w, c), whose largest logit is their label's, (n,)."""
    return float(np.mean(is_right(logits_of(images), labels)))


def _by_class(right: np.ndarray, labels: np.ndarray, counts: np.ndarray) -> list[float | None]:
    correct = np.bincount(labels[right], minlength=len(counts))
    return [float(c / n) if n else None for c, n in zip(correct, counts, strict=True)]


def _confusion(answers: np.ndarray, labels: np.ndarray, classes: int) -> list[list[int]]:
    """Return how many images of each class are given which; those given none are left out."""
    given = answers != NO_CLASS
    pairs = np.bincount(labels[given] * classes + answers[given], minlength=classes**2)
    return pairs.reshape(classes, classes).tolist()
