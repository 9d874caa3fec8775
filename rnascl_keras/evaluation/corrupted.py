"""Accuracy on images that weather, lenses and files have damaged: nobody attacks."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from rnascl_keras.attacks.classifier import Batched, as_classifier
from rnascl_keras.attacks.inputs import check_answers, check_whole, checked_labels
from rnascl_keras.attacks.verdict import is_right
from rnascl_keras.corruptions import CORRUPTIONS, SEVERITIES, check_images, corrupt
from rnascl_keras.corruptions.severities import published_for
from rnascl_keras.errors import ModelFailed, UserError, check_name
from rnascl_keras.evaluation.intervals import mean_interval, wilson_interval
from rnascl_keras.evaluation.parts import Parts
from rnascl_keras.progress import progress_bar

DRAWN = (
    "frost is drawn here: the published one lays photographs over the images; its figures cannot "
    "be compared with published ones"
)


@dataclasses.dataclass(frozen=True)
class Corrupted:
    """Accuracies under corruptions.

    Attributes:
        n: number of images, the first ones.
        seed: of what is random.
        published: whose parameters they have: "CIFAR-10-C", "Tiny-ImageNet-C" or "ImageNet-C".
        scale: by how much lengths in pixels are longer than those; 1 at that set's own size.
        accuracy: by corruption, from 0 to 1 at severities 1 to 5.
        intervals: by corruption, the 95 % Wilson interval [low, high] at each severity.
        mean: of all these accuracies; of all fifteen, the mean corruption accuracy, mCA.
        mean_interval: its 95 % interval, see `mean_interval`.
        error: 1 - mean. The published mCE is another figure: it divides each corruption's error by
            AlexNet's.
        notes: in words, what is not as published, and what left the images as they were, but for
            roundings.
    """

    n: int
    seed: int
    published: str
    scale: float
    accuracy: dict[str, list[float]]
    intervals: dict[str, list[list[float]]]
    mean: float
    mean_interval: list[float]
    error: float
    notes: list[str]

    def as_dict(self) -> dict[str, Any]:
        """Return it as plain JSON values."""
        return dataclasses.asdict(self)


def evaluate_corrupted(
    model: Any,
    images: Any,
    labels: np.ndarray,
    *,
    corruptions: Sequence[str] = tuple(CORRUPTIONS),
    seed: int = 0,
    batch_size: int = 128,
    progress: bool = True,
) -> Corrupted:
    """Return the accuracy under each corruption, at each of five severities.

    Args:
        model, images, labels, seed, batch_size, progress: as in `evaluate`; float pixels are
            rounded to bytes before they are corrupted.
        corruptions: names of `CORRUPTIONS`, at least one.

    Raises:
        UserError: no such corruption or none, images that cannot be corrupted, or as `evaluate`;
            a model that gives probabilities is taken as it is.
    """
    names = _checked_names(corruptions)
    check_whole("seed", seed)
    check_whole("batch_size", batch_size, 1)
    classifier = Batched(as_classifier(model), batch_size)
    parts = Parts(images)
    check_corruptible(images)
    labels = checked_labels(labels, len(parts))
    clean = [_answers(classifier, parts.of(rows), rows.start) for rows in parts.rows()]
    check_answers(np.concatenate(clean), labels)
    right = {name: np.zeros((len(SEVERITIES), len(parts)), bool) for name in names}
    changed = {name: np.zeros(len(SEVERITIES), bool) for name in names}
    total = len(parts) * len(SEVERITIES) * len(names)
    with progress_bar(total=total, desc="corruptions", unit="image", wanted=progress) as bar:
        for rows in parts.rows():
            pixels = _in_bytes(parts.of(rows))
            for name, severity, made in _corrupted(pixels, names, seed, rows.start):
                logits = _answers(classifier, made / np.float32(255), rows.start)
                right[name][severity - 1, rows] = is_right(logits, labels[rows])
                changed[name][severity - 1] |= _is_changed(pixels, made)
                bar.update(len(made))
    notes = _notes(changed)
    return _summed_up(right, seed, parts.first(1).shape[1:3], notes)


def _checked_names(corruptions: Sequence[str]) -> list[str]:
    """Return the names, each once; UserError where one is unknown, or there is none."""
    names = list(dict.fromkeys(corruptions))
    if not names:
        raise UserError(f"corruptions is empty; expected some of {', '.join(CORRUPTIONS)}.")
    for name in names:
        check_name("corruption", name, CORRUPTIONS)
    return names


def _answers(classifier: Batched, images: np.ndarray, first: int) -> np.ndarray:
    """Return the logits of some images, of which `first` is the first one's number."""
    try:
        return classifier.logits(images)
    except ModelFailed as error:
        raise error.on(first, first + len(images) - 1) from error


def check_corruptible(images: Any) -> None:
    """Raise UserError where images, as `evaluate` takes them, cannot be corrupted."""
    check_images(_in_bytes(Parts(images).first(1)))


def _corrupted(
    pixels: np.ndarray, names: Sequence[str], seed: int, first: int
) -> Iterator[tuple[str, int, np.ndarray]]:
    """Yield name, severity and bytes, for each corruption and severity."""
    for name in names:
        for severity in SEVERITIES:
            yield name, severity, corrupt(pixels, name, severity, seed=seed, first=first)


def _in_bytes(images: np.ndarray) -> np.ndarray:
    return np.rint(255 * images).astype(np.uint8)


def _is_changed(before: np.ndarray, after: np.ndarray) -> bool:
    """Return whether bytes are changed by more than a rounding."""
    return bool(np.abs(after.astype(int) - before).max() > 1)


def _notes(changed: dict[str, np.ndarray]) -> list[str]:
    """Return what is not as published, and which severities, (5,), have changed no image."""
    notes = [DRAWN] if "frost" in changed else []
    for name, own in changed.items():
        if not own.all():
            severities = ", ".join(str(SEVERITIES[k]) for k in np.flatnonzero(~own))
            notes.append(f"{name} of severity {severities} left all images as they were")
    return notes


def _summed_up(
    right: dict[str, np.ndarray], seed: int, size: tuple[int, ...], notes: list[str]
) -> Corrupted:
    """Return the figures of which images are right: by corruption, (severities, n)."""
    every = np.stack(list(right.values()))  # (corruptions, severities, n)
    published, scale = published_for(*size)
    # counted, and divided once: a mean of means can lie below the share that it is
    mean, n = float(every.mean()), every.shape[2]
    return Corrupted(
        n=n,
        seed=seed,
        published=published.name,
        scale=scale,
        accuracy={name: own.mean(axis=1).tolist() for name, own in right.items()},
        intervals={name: [wilson_interval(row) for row in own] for name, own in right.items()},
        mean=mean,
        mean_interval=mean_interval(mean, n),
        error=float((~every).mean()),
        notes=notes,
    )
