"""What is odd about a user's own images, said before anything is made of them."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from rnascl_keras.data.image_data import ImageData
from rnascl_keras.data.image_files import shown_path
from rnascl_keras.data.pixels import FilePixels
from rnascl_keras.errors import UserError, printable
from rnascl_keras.units import counted, first_few

MOST_FILES = 20_000
"""Files that are compared with each other, which takes some 0.1 ms each."""
TAIL = 4096
"""Bytes at a file's end that tell it from all others of its size."""


def oddities(train: ImageData, test: ImageData) -> Iterator[str]:
    """Yield, in sentences, which images are in both splits or of two classes, and which classes
    cannot be learned.

    Raises:
        UserError: a file cannot be read.
    """
    yield from _not_to_be_learned(train)
    if isinstance(train.pixels, FilePixels) and len(train) + len(test) > MOST_FILES:
        return
    labelled = list(zip(_contents(train), train.labels.tolist(), strict=True))
    classes = dict(labelled)
    if both := [k for k, content in enumerate(_contents(test)) if content in classes]:
        yield (
            f"also among the training images: {counted(len(both), 'test image')} of {len(test):,} "
            f"({_few(test, both)}); figures on them are of learned images: remove them"
        )
    if of_two := [k for k, (content, label) in enumerate(labelled) if classes[content] != label]:
        yield (
            f"also under another class: {counted(len(of_two), 'training image')} "
            f"({_few(train, of_two)}); no network can be right on both: keep one"
        )


def measured_whole(name: str, missing: str) -> str:
    """Return, as a sentence, that a source has no images of its own to test on."""
    return (
        f"data: {name} has no {missing}, so that all of its images are measured; those that a "
        "model was trained on make its figures too high"
    )


def _not_to_be_learned(train: ImageData) -> Iterator[str]:
    there = np.bincount(train.labels, minlength=train.classes)
    missing = np.flatnonzero(there == 0)
    if len(missing):
        few = first_few([printable(train.class_names[k]) for k in missing], 5)
        numbered = train.class_names == tuple(map(str, range(train.classes)))
        from_one = numbered and missing.tolist() == [0]
        yield (
            f"no training image of {counted(len(missing), 'class', 'es')} ({few}): nothing can be "
            "learned of these. "
            + ("If the labels begin at 1, subtract 1." if from_one else "Add images of them.")
        )


def _contents(data: ImageData) -> list[bytes]:
    """Return what tells each image from others: a hash, of a file its size and its end."""
    if isinstance(data.pixels, FilePixels):
        return [_end(str(path)) for path in data.pixels.paths]
    rows = (np.ascontiguousarray(image).data for image in data.pixels.array)
    return [hashlib.blake2b(row, digest_size=16).digest() for row in rows]


def _end(path: str) -> bytes:
    try:
        with open(path, "rb") as file:
            size = file.seek(0, os.SEEK_END)
            file.seek(max(0, size - TAIL))
            return hashlib.blake2b(f"{size} ".encode() + file.read(), digest_size=16).digest()
    except OSError as error:
        raise UserError(
            f"the image {shown_path(path)} cannot be read: {error.strerror}."
        ) from error


def _few(data: ImageData, places: list[int]) -> str:
    """Name some images: files by their class folder and name, others by their number."""
    if isinstance(data.pixels, FilePixels):
        paths = [Path(str(data.pixels.paths[k])) for k in places[:4]]
        return first_few([shown_path(f"{p.parent.name}/{p.name}") for p in paths], 3)
    return first_few([f"number {k}" for k in places[:4]], 3)
