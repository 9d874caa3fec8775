"""What every attack can do: `perturb` images, or `run` within a larger evaluation."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from rnascl_keras.attacks.classifier import Batched, Classifier, as_classifier
from rnascl_keras.attacks.inputs import check_logits, check_whole, checked_images, checked_labels
from rnascl_keras.attacks.norms import check_epsilon, find_norm
from rnascl_keras.attacks.state import Found
from rnascl_keras.errors import UserError

Progress = Callable[[float, float], None]


class Attack:
    """An attack within a ball around each image and within [0, 1].

    Args:
        epsilon: radius of the ball; for L-infinity in pixel units of [0, 1], e.g. 8 / 255. Of a
            radius of 0 all images come back as they were.
        norm: one of `norms`.

    Raises:
        UserError: `epsilon` is no radius, `norm` is unknown, or the attack has no form for it.

    Attributes:
        norms: those that it has a form for.
        key: under which its accuracy is kept, e.g. ``pgd20``.
        name: how it is written, e.g. ``PGD-20``.
    """

    norms: tuple[str, ...] = ("Linf", "L2", "L1")
    key: str
    name: str

    @property
    def how(self) -> str:
        """Its settings in one phrase, e.g. ``20 steps of ε/4, random start, one run``; empty where
        an attack has none to tell."""
        return ""

    def __init__(self, epsilon: float, *, norm: str = "Linf") -> None:
        self.norm = find_norm(norm)
        if norm not in self.norms:
            raise UserError(
                f"{type(self).__name__} attacks within {' or '.join(self.norms)}; got {norm}. "
                "In L0 use sparse_rs, in the other norms any other attack."
            )
        self.epsilon = check_epsilon(epsilon, norm) if epsilon else 0.0

    def perturb(
        self,
        model: Any,
        images: np.ndarray,
        labels: np.ndarray,
        *,
        batch_size: int = 128,
        seed: int = 0,
        progress: Progress | None = None,
    ) -> np.ndarray:
        """Attack every image against its true label; those classified wrong already stay as they
        are.

        Args:
            model: a Keras model, or any `Classifier`.
            images: (n, h, w, c), float pixels in [0, 1] or uint8.
            labels: (n,) integers.
            batch_size: images that the model sees at a time. What is found does not depend on it,
                but for the model's own rounding.
            seed: of what is random, not negative.
            progress: called after each step with the share of the work that is done at least and
                the share of images still classified right.

        Returns:
            (n, h, w, c) adversarial images, float32 or as `images` float64.

        Raises:
            UserError: model, images and labels do not fit each other.
        """
        images = checked_images(images)
        labels = checked_labels(labels, len(images))
        check_whole("seed", seed)
        check_whole("batch_size", batch_size, 1)
        classifier = Batched(as_classifier(model), batch_size)
        logits = classifier.logits(images)
        check_logits(logits, labels)
        return self.run(classifier, images, labels, logits, seed=seed, progress=progress).images

    def run(
        self,
        classifier: Classifier,
        images: np.ndarray,
        labels: np.ndarray,
        logits: np.ndarray,
        *,
        indices: np.ndarray | None = None,
        seed: int = 0,
        progress: Progress | None = None,
    ) -> Found:
        """As `perturb`, of checked arrays.

        Args:
            logits: (n, classes) of the images.
            indices: (n,) what an image's random numbers depend on; by default 0, 1, ...
        """
        raise NotImplementedError
