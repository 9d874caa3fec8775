"""One split of labelled images."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from rnascl_keras.data.augmentation import find_augmentation
from rnascl_keras.data.pixels import ArrayPixels, FilePixels
from rnascl_keras.data.share import WHOLE, Share
from rnascl_keras.errors import UserError

if TYPE_CHECKING:
    import tensorflow as tf


@dataclass(frozen=True, eq=False)
class ImageData:
    """Images with their labels, in a fixed order; immutable.

    Attributes:
        pixels: the images, in memory or in files.
        labels: int64 (n,), each in [0, classes).
        class_names: the name of each class.
        origin: where they come from, in words, as far as it is known.
    """

    pixels: ArrayPixels | FilePixels
    labels: np.ndarray
    class_names: tuple[str, ...]
    origin: str = ""

    def __post_init__(self) -> None:
        labels = np.array(self.labels, np.int64)
        labels.setflags(write=False)
        object.__setattr__(self, "labels", labels)

    def __len__(self) -> int:
        return len(self.labels)

    @property
    def input_shape(self) -> tuple[int, int, int]:
        """Height, width, channels."""
        return self.pixels.input_shape

    @property
    def preprocessing(self) -> str:
        """What is done to each image before a model sees it, in words; empty for nothing."""
        return self.pixels.preprocessing

    @property
    def classes(self) -> int:
        """Number of classes."""
        return len(self.class_names)

    def batches(self, batch_size: int) -> tf.data.Dataset:
        """Return all images once, in order, unaugmented; the last batch may be short.

        Returns:
            Batches of float32 images (b, h, w, c) in [0, 1] and int64 labels (b,).
        """
        from rnascl_keras.data import pipelines

        return pipelines.batches(self.pixels, self.labels, _positive("batch_size", batch_size))

    def steps_per_epoch(self, batch_size: int) -> int:
        """Return how many full batches an epoch of `training_batches` has.

        Raises:
            UserError: not even one.
        """
        if _positive("batch_size", batch_size) > len(self):
            raise UserError(
                f"batch_size={batch_size} is more than the {len(self)} training images; lower it."
            )
        return len(self) // batch_size

    def training_batches(
        self,
        batch_size: int,
        *,
        augmentation: str = "none",
        seed: int = 0,
        first_epoch: int = 0,
        first_step: int = 0,
        views: int | None = None,
        indexed: bool = False,
        share: Share = WHOLE,
    ) -> tf.data.Dataset:
        """Return shuffled, augmented batches without end, `steps_per_epoch` of them an epoch.

        The order of an epoch, and what happens to an image in it, are pure functions of
        (seed, epoch) and (seed, epoch, image): starting at `first_epoch=k` gives what an
        uninterrupted iteration gives from epoch k on. No image comes twice in an epoch; the
        len % batch_size images left over differ between epochs.

        Args:
            batch_size: images a batch, static.
            augmentation: a name of `AUGMENTATIONS`.
            seed: any integer.
            first_epoch: the epoch to start with, from 0.
            first_step: the batch of that epoch to start with, from 0.
            views: what happens to an image in epoch e is what happened in epoch e mod `views`;
                None never repeats. The order is every epoch's own either way.
            indexed: also say which images they are, and which view of each.
            share: of replicas that share every batch: theirs, one after the other.

        Returns:
            Batches as those of `batches`, but of exactly `batch_size` images each, or what is each
            replica's part of them; where `indexed`, of (images, labels, indices, views), the last
            two int64 (b,).

        Raises:
            UserError: unknown augmentation, a batch larger than the split, or one that cannot be
                shared evenly.
        """
        row = find_augmentation(augmentation)
        self.steps_per_epoch(batch_size)
        share.check(batch_size)
        if views is not None:
            _positive("views", views)
        from rnascl_keras.data import pipelines

        return pipelines.training_batches(
            self.pixels,
            self.labels,
            batch_size,
            row,
            seed,
            first_epoch,
            first_step,
            views,
            indexed,
            share,
        )

    def view_batches(
        self,
        view: int,
        batch_size: int,
        *,
        augmentation: str = "none",
        seed: int = 0,
        start: int = 0,
        stop: int | None = None,
    ) -> tf.data.Dataset:
        """Return images `start` to `stop` in order, each as `training_batches` shows it in epoch
        `view`, bit for bit; the last batch may be short.

        Raises:
            UserError: unknown augmentation.
        """
        from rnascl_keras.data import pipelines

        row = find_augmentation(augmentation)
        stop = len(self) if stop is None else stop
        return pipelines.view_batches(
            self.pixels, self.labels, view, batch_size, row, seed, start, stop
        )

    def fingerprint(self) -> str:
        """Return a hash of labels, class names and pixels; of files, their names and sizes stand
        for the pixels.

        Raises:
            UserError: a file is gone.
        """
        digest = hashlib.sha256(repr(self.class_names).encode())
        digest.update(self.labels.tobytes())
        digest.update(self.pixels.fingerprint().encode())
        return digest.hexdigest()[:16]

    def first(self, n: int) -> tuple[np.ndarray, np.ndarray]:
        """Return the first n images, float32 (n, h, w, c) in [0, 1], and labels, int64 (n,).

        Raises:
            UserError: the split is smaller.
        """
        head = self.take(n)
        return head.pixels.all(), head.labels.copy()

    def take(self, n: int) -> ImageData:
        """Return the split's first n images.

        Raises:
            UserError: the split is smaller.
        """
        if _positive("the number of images", n) > len(self):
            raise UserError(f"{n} images were asked for, but the split has {len(self)}.")
        return self._slice(0, n)

    def split_last(self, n: int) -> tuple[ImageData, ImageData]:
        """Return the images before the last n, and the last n.

        Raises:
            UserError: nothing would be left before them.
        """
        if _positive("the number of images", n) >= len(self):
            raise UserError(f"{n} images cannot be split off the {len(self)} there are.")
        return self._slice(0, len(self) - n), self._slice(len(self) - n, len(self))

    def in_order(self, order: np.ndarray) -> ImageData:
        """Return the images at these positions, int64 (n,)."""
        return replace(self, pixels=self.pixels.in_order(order), labels=self.labels[order])

    def _slice(self, start: int, stop: int) -> ImageData:
        return replace(self, pixels=self.pixels.slice(start, stop), labels=self.labels[start:stop])


def _positive(what: str, number: int) -> int:
    if number < 1:
        raise UserError(f"{what} must be at least 1, not {number}.")
    return number
