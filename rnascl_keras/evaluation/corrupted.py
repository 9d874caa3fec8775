"""Accuracy on images that weather, lenses and files have damaged: nobody attacks."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from rnascl_keras.attacks.classifier import Batched, as_classifier
from rnascl_keras.attacks.inputs import check_whole, checked_labels
from rnascl_keras.attacks.verdict import is_right
from rnascl_keras.corruptions import CORRUPTIONS, SEVERITIES, check_images, corrupt
from rnascl_keras.corruptions.severities import published_for
from rnascl_keras.errors import ModelFailed
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
        notes: what is not as published, in words.
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
        UserError: no such corruption, images that cannot be corrupted, or as `evaluate`.
    """
    check_whole("seed", seed)
    check_whole("batch_size", batch_size, 1)
    classifier = Batched(as_classifier(model), batch_size)
    parts = Parts(images)
    labels = checked_labels(labels, len(parts))
    right = {name: np.zeros((len(SEVERITIES), len(parts)), bool) for name in corruptions}
    total = len(parts) * len(SEVERITIES) * len(right)
    with progress_bar(total=total, desc="corruptions", unit="image", wanted=progress) as bar:
        for rows in parts.rows():
            for name, severity, made in _corrupted(parts.of(rows), corruptions, seed, rows.start):
                try:
                    logits = classifier.logits(made)
                except ModelFailed as error:
                    raise error.on(rows.start, rows.start + len(made) - 1) from error
                right[name][severity - 1, rows] = is_right(logits, labels[rows])
                bar.update(len(made))
    return _summed_up(right, seed, parts.first(1).shape[1:3])


def check_corruptible(images: Any) -> None:
    """Raise UserError where images, as `evaluate` takes them, cannot be corrupted."""
    check_images(_in_bytes(Parts(images).first(1)))


def _corrupted(
    images: np.ndarray, corruptions: Sequence[str], seed: int, first: int
) -> Iterator[tuple[str, int, np.ndarray]]:
    """Yield name, severity and float images, for each corruption and severity."""
    pixels = _in_bytes(images)
    for name in corruptions:
        for severity in SEVERITIES:
            made = corrupt(pixels, name, severity, seed=seed, first=first)
            yield name, severity, made / np.float32(255)


def _in_bytes(images: np.ndarray) -> np.ndarray:
    return np.rint(255 * images).astype(np.uint8)


def _summed_up(right: dict[str, np.ndarray], seed: int, size: tuple[int, ...]) -> Corrupted:
    """Return the figures of which images are right: by corruption, (severities, n)."""
    by_image = np.mean([own.mean(axis=0) for own in right.values()], axis=0)
    published, scale = published_for(*size)
    mean = float(by_image.mean())
    return Corrupted(
        n=len(by_image),
        seed=seed,
        published=published.name,
        scale=scale,
        accuracy={name: own.mean(axis=1).tolist() for name, own in right.items()},
        intervals={name: [wilson_interval(row) for row in own] for name, own in right.items()},
        mean=mean,
        mean_interval=mean_interval(by_image),
        error=1 - mean,
        notes=[DRAWN] if "frost" in right else [],
    )
