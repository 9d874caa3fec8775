"""Where the images of a split are kept: in memory, or in files decoded when they are needed.

Both kinds have `input_shape`, `preprocessing`, a length, `slice(start, stop)`, `all()`,
`fingerprint()` and `batched(...)`.
TensorFlow is imported only by what makes a pipeline.
"""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from rnascl_keras.data.augmentation import Augmentation
from rnascl_keras.data.centre import CENTRE_SHARE, read_centre
from rnascl_keras.errors import UserError

if TYPE_CHECKING:
    import tensorflow as tf


FEWEST_LEVELS = 16
"""Whole pixels of which none is above: numbers of another scale, such as 0 and 1."""


def check_whole_pixels(images: np.ndarray, what: str) -> None:
    """Raise UserError where whole numbers, (n, h, w, c), cannot be pixels from 0 to 255.

    Those that end at 1 or at 16, as scikit-learn's digits do, would be nearly black as bytes; radii
    in [0, 1] would then be so many times too large.
    """
    low, high = (int(images.min()), int(images.max())) if images.size else (0, 0)
    if low < 0 or high > 255 or 0 < high <= FEWEST_LEVELS:
        raise UserError(
            f"{what} is {images.dtype} from {low} to {high}; expected whole pixels from 0 to 255, "
            "or floats in [0, 1]. Store x / m as float32, m being what white is."
        )


@dataclass(frozen=True, eq=False)
class ArrayPixels:
    """Images in memory.

    Attributes:
        array: (n, h, w, c), uint8 0..255 or float32 in [0, 1].
    """

    array: np.ndarray

    def __len__(self) -> int:
        return len(self.array)

    @property
    def input_shape(self) -> tuple[int, int, int]:
        """Height, width, channels."""
        return self.array.shape[1:]

    @property
    def preprocessing(self) -> str:
        """What is done to an image before a model sees it, in words: nothing."""
        return ""

    def slice(self, start: int, stop: int) -> ArrayPixels:
        """Return images start to stop, without copying them."""
        return ArrayPixels(self.array[start:stop])

    def in_order(self, order: np.ndarray) -> ArrayPixels:
        """Return the images at these positions, a copy."""
        return ArrayPixels(self.array[order])

    def all(self) -> np.ndarray:
        """Return all images, float32 (n, h, w, c) in [0, 1]."""
        if self.array.dtype == np.uint8:
            return self.array.astype(np.float32) / np.float32(255)
        return self.array.copy()

    def fingerprint(self) -> str:
        """Return a hash of type, shape and every pixel."""
        digest = hashlib.sha256(f"{self.array.dtype}{self.array.shape}".encode())
        digest.update(np.ascontiguousarray(self.array).data)
        return digest.hexdigest()

    def batched(
        self,
        elements: tf.data.Dataset,
        batch_size: int,
        augmentation: Augmentation,
        drop_remainder: bool,
    ) -> tf.data.Dataset:
        """Turn (index, label, draws) of single images into batches of (images, labels).

        `label` may be a tuple of scalars: all of them come along. The array is read where it lies:
        as a tensor it would be there three times while TensorFlow copies it, and then twice.
        """
        import tensorflow as tf

        from rnascl_keras.data import transforms

        def load(indices: tf.Tensor, labels: Any, draws: tf.Tensor) -> tuple[tf.Tensor, Any]:
            # Not stateful, so tf.data runs it in parallel and ahead where all is deterministic too.
            images = tf.numpy_function(
                self.array.__getitem__, (indices,), self.array.dtype, stateful=False
            )
            images = tf.ensure_shape(images, (indices.shape[0], *self.input_shape))
            return transforms.augment_batch(images, draws, augmentation), labels

        # The map above handles a batch, so single elements never pay for an operation each.
        batches = elements.batch(batch_size, drop_remainder=drop_remainder)
        return batches.map(load, num_parallel_calls=tf.data.AUTOTUNE)


@dataclass(frozen=True, eq=False)
class FilePixels:
    """Images in JPEG or PNG files of any size, decoded to RGB when a batch needs them.

    Attributes:
        paths: str (n,); with the file system's bytes where a name is no text.
        image_size: height and width of the images delivered, in pixels.
    """

    paths: np.ndarray
    image_size: int

    def __len__(self) -> int:
        return len(self.paths)

    @property
    def input_shape(self) -> tuple[int, int, int]:
        """Height, width, channels."""
        return (self.image_size, self.image_size, 3)

    @property
    def preprocessing(self) -> str:
        """What is done to an image file before a model sees it, in words."""
        size = self.image_size
        return (
            f"decoded to RGB; unless it is {size} x {size} already, the central square of "
            f"{256 * CENTRE_SHARE:.0f}/256 of the shorter side cut out and scaled to that, "
            "bilinear with antialiasing; pixels divided by 255; not turned, whatever EXIF says"
        )

    def slice(self, start: int, stop: int) -> FilePixels:
        """Return images start to stop."""
        return FilePixels(self.paths[start:stop], self.image_size)

    def in_order(self, order: np.ndarray) -> FilePixels:
        """Return the images at these positions."""
        return FilePixels(self.paths[order], self.image_size)

    def all(self) -> np.ndarray:
        """Return all images, decoded, float32 (n, h, w, 3) in [0, 1]."""
        if find_spec("tensorflow") is None:
            return np.stack([read_centre(str(path), self.image_size) for path in self.paths])
        import tensorflow as tf

        n = len(self)
        elements = tf.data.Dataset.from_tensor_slices(
            (np.arange(n), np.zeros(n), np.zeros((n, 0), np.float32))
        )
        images = np.empty((n, *self.input_shape), np.float32)
        batches = self.batched(elements, 1, Augmentation(), drop_remainder=False)
        for i, (image, _) in enumerate(batches.as_numpy_iterator()):
            images[i] = image[0]
        return images

    def fingerprint(self) -> str:
        """Return a hash of the files' names, in their class folders, and sizes.

        Raises:
            UserError: a file is gone.
        """
        digest = hashlib.sha256(f"{self.image_size}".encode())
        for path in map(str, self.paths):
            try:
                size = os.stat(path).st_size
            except OSError as error:
                raise UserError(f"the image {path} cannot be read: {error.strerror}.") from error
            digest.update(os.fsencode(f"{Path(path).parent.name}/{Path(path).name} {size}\n"))
        return digest.hexdigest()

    def batched(
        self,
        elements: tf.data.Dataset,
        batch_size: int,
        augmentation: Augmentation,
        drop_remainder: bool,
    ) -> tf.data.Dataset:
        """As `ArrayPixels.batched`."""
        import tensorflow as tf

        from rnascl_keras.data import transforms

        paths = tf.constant([os.fsencode(str(path)) for path in self.paths])

        def load(index: tf.Tensor, label: Any, draws: tf.Tensor) -> tuple[tf.Tensor, Any]:
            image = transforms.read_image(
                paths[index], self.image_size, draws, augmentation.smallest_window
            )
            # (h, w, c) -> (1, h, w, c) and back
            cropped = transforms.crop_and_flip(image[None], draws[None], augmentation)
            return cropped[0], label

        images = elements.map(load, num_parallel_calls=tf.data.AUTOTUNE)
        return images.batch(batch_size, drop_remainder=drop_remainder)
