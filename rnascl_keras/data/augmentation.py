"""The augmentations, as a table of rows."""

from __future__ import annotations

from dataclasses import dataclass

from rnascl_keras.errors import look_up


@dataclass(frozen=True)
class Augmentation:
    """What happens to an image before it is trained on.

    Attributes:
        padding: zeros put around the image, in pixels, before a random crop of the old size.
        flip: mirror left and right with probability 1/2.
        smallest_window: share of the source image's area that a random window of it takes at least,
            which is scaled to the image size; 0: there is no window.
        cutout: side of a black square, in pixels, whose centre is anywhere in the image (DeVries
            and Taylor, 2017; where it comes after a normalisation, it has the mean colour).
    """

    padding: int = 0
    flip: bool = False
    smallest_window: float = 0.0
    cutout: int = 0


AUGMENTATIONS = {
    "none": Augmentation(),
    "shift": Augmentation(padding=1),
    "crop_flip": Augmentation(padding=4, flip=True),
    "crop_flip_cutout": Augmentation(padding=4, flip=True, cutout=16),
    "resized_crop_flip": Augmentation(flip=True, smallest_window=0.08),
    "large_crop_flip": Augmentation(flip=True, smallest_window=0.25),
}


def find_augmentation(name: str) -> Augmentation:
    """Return the row called `name`.

    Raises:
        UserError: there is none.
    """
    return look_up("augmentation", name, AUGMENTATIONS)
