"""What images there are: how many, of which classes and sizes, in colour or grey."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import ExifTags, Image

from rnascl_keras.data.folder import Say, is_class_folder, is_image_folder
from rnascl_keras.data.image_data import ImageData
from rnascl_keras.data.image_files import shown_path
from rnascl_keras.data.pixels import FilePixels
from rnascl_keras.data.sources import Splits, load_data
from rnascl_keras.drafting.source import check_source
from rnascl_keras.errors import UserError, printable
from rnascl_keras.units import counted, first_few

HELD_OUT = 0.2
"""Of the images of a folder without splits, to test on."""
LOOKED_AT = 2000
"""Files whose sizes are read, from the first on; they come in a stratified order."""
UPRIGHT = 1
"""EXIF's orientation of an image that is stored as it is seen."""
FEWEST = 40
"""Training images: fewer teach nothing."""


@dataclass(frozen=True)
class Facts:
    """What was found.

    Attributes:
        source: as a recipe names it; of a file or folder its absolute path.
        splits: the images; of files, not yet scaled to a size that suits.
        is_folder: whether they are files of any size.
        held_out: share that is tested on, where the folder has no splits; else None.
        sides: (n, 2), heights and widths of the images looked at, in pixels.
        grey: share of these that are grey.
        turned: how many of these EXIF says to turn.
    """

    source: str
    splits: Splits
    is_folder: bool
    held_out: float | None
    sides: np.ndarray
    grey: float
    turned: int

    @property
    def train(self) -> int:
        """Number of training images, before any are held back."""
        return len(self.splits.train)

    @property
    def test(self) -> int:
        """Number of test images."""
        return len(self.splits.test)

    @property
    def classes(self) -> int:
        """Number of classes."""
        return self.splits.train.classes

    @property
    def shorter_side(self) -> int:
        """The median of the images' shorter sides, in pixels."""
        return int(np.median(self.sides.min(axis=1)))

    def told(self) -> Iterator[str]:
        """Yield what was found, in lines for the user."""
        counts = np.bincount(self.splits.train.labels, minlength=self.classes)
        named = sorted(zip(counts.tolist(), self.splits.train.class_names, strict=True))
        few = ", ".join(f"{printable(name)}: {count}" for count, name in named[:5])
        larger = self.classes - 5
        more = f", and {counted(larger, 'larger class', 'es')}" if larger > 0 else ""
        classes = counted(self.classes, "class", "es")
        yield f"{classes}, {self.train:,} images to train on ({few}{more})"
        if self.held_out is None:
            yield f"{self.test:,} images to test on"
        else:
            yield (
                f"{self.test:,} images to test on: about {self.held_out:.0%} of each class, always "
                "the same; nothing is moved"
            )
        yield from self._never_tested()
        least, most = self.sides.min(axis=0), self.sides.max(axis=0)
        sizes = f"{least[1]} x {least[0]}"
        if (least != most).any():
            sizes += f" to {most[1]} x {most[0]} pixels, the shorter side {self.shorter_side} in"
            sizes += " the median"
        else:
            sizes += " pixels"
        colour = "grey" if self.grey == 1 else "in colour" if self.grey == 0 else "part grey"
        yield f"sizes: {sizes}; {colour}"
        if self.turned:
            yield (
                f"stored turned: {counted(self.turned, 'image')} of the {len(self.sides):,} looked "
                "at, by their EXIF orientation, which is not applied, here or by the student: turn "
                "the files, or give the student its images as they are stored"
            )
        if self.is_folder:
            yield "every file was opened: none is damaged"

    def _never_tested(self) -> Iterator[str]:
        tested = np.bincount(self.splits.test.labels, minlength=self.classes)
        names = [self.splits.train.class_names[k] for k in np.flatnonzero(tested == 0)]
        if names:
            few = first_few([printable(name) for name in names], 5)
            yield (
                f"no test image of {counted(len(names), 'class', 'es')} ({few}): no figure will "
                "say how these are recognised; add images of them"
            )


def look_at(source: str, data_dir: str | os.PathLike[str] | None, say: Say) -> Facts:
    """Return what images a folder, an `.npz` or a named data set holds.

    Raises:
        UserError: there are none, some are damaged (all are named), or too few to train on.
    """
    check_source(source, data_dir)
    place = Path(source).expanduser()
    unsplit = is_class_folder(place)
    is_folder = unsplit or is_image_folder(place)
    if is_folder or place.is_file():
        source = str(place.absolute())
    if not _is_text(source):
        raise UserError(f"{shown_path(source)} has a name that is no text; rename it.")
    held_out = HELD_OUT if unsplit else None
    size = 32 if is_folder else None
    splits = load_data(source, data_dir=data_dir, image_size=size, held_out=held_out, say=say)
    facts = Facts(source, splits, is_folder, held_out, *_sides(splits.train))
    if facts.classes < 2 or facts.train < FEWEST:
        raise UserError(f"{shown_path(source)} has {_too_few(facts)}")
    return facts


def _too_few(facts: Facts) -> str:
    """Return what there is, and how much is needed."""
    images = f"{facts.train:,} images to train on"
    needed = f"expected at least two classes and {FEWEST} images to train on"
    if facts.held_out is not None:
        images = (
            f"{facts.train + facts.test:,} images; {facts.test:,} of them are held out to test on, "
            f"and {facts.train:,} are left"
        )
        needed += f", {round(FEWEST / (1 - facts.held_out))} in all"
    return f"{counted(facts.classes, 'class', 'es')} of {images}; {needed}."


def _is_text(name: str) -> bool:
    """Return whether a path can stand in a file of text: a name may be of any bytes."""
    return not any("\ud800" <= sign <= "\udfff" for sign in name)


def _sides(data: ImageData) -> tuple[np.ndarray, float, int]:
    """Return heights and widths, (n, 2), the share of grey images, and how many EXIF turns."""
    if not isinstance(data.pixels, FilePixels):
        height, width, channels = data.input_shape
        return np.array([[height, width]]), float(channels == 1), 0
    sides, grey, turned = [], 0, 0
    for path in map(str, data.pixels.paths[:LOOKED_AT]):
        with Image.open(path) as image:
            sides.append((image.height, image.width))
            grey += image.mode in ("1", "L", "LA", "I;16")
            turned += image.getexif().get(ExifTags.Base.Orientation, UPRIGHT) != UPRIGHT
    return np.array(sides), grey / len(sides), turned
