"""One model measured on images, as it was asked for."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import zip_longest
from pathlib import Path
from typing import Any

import numpy as np

from rnascl_keras.data import ImageData, load_test_data
from rnascl_keras.data.pixels import FilePixels
from rnascl_keras.data.sources import ImageShape
from rnascl_keras.errors import ModelFailed, UserError, printable
from rnascl_keras.evaluation.corrupted import Corrupted, check_corruptible, evaluate_corrupted
from rnascl_keras.evaluation.engine import Engine
from rnascl_keras.evaluation.evaluate import Evaluation, evaluate
from rnascl_keras.evaluation.opened import OpenedFile
from rnascl_keras.evaluation.request import Request
from rnascl_keras.evaluation.sweep import Sweep, sweep_radii
from rnascl_keras.report.keys import class_names
from rnascl_keras.units import first_few


@dataclass(frozen=True)
class Measured:
    """What was found of a model.

    Attributes:
        file: its file, as it was opened.
        classifier: the model, see `attacks.Classifier`.
        images: those that it was measured on.
        evaluation: the figures.
        sweep: those over the radius, or None.
        corrupted: those under common corruptions, or None.
        made: by attack's key the images made, (n, h, w, c), where they are wanted.
        failed: what ended the work before all was measured, or None.
        engine: what computed a Keras model; None of another.
    """

    file: OpenedFile
    classifier: Any
    images: ImageData
    evaluation: Evaluation
    sweep: Sweep | None
    corrupted: Corrupted | None
    made: Mapping[str, np.ndarray]
    failed: str | None
    engine: Engine | None = None

    @property
    def path(self) -> Path:
        """Where its file lies."""
        return self.file.path

    @property
    def class_names(self) -> list[str]:
        """The name of each of the model's outputs."""
        return class_names(self.images.class_names, len(self.evaluation.class_counts))


def images_for(request: Request, input_shape: ImageShape) -> ImageData:
    """Return the images to measure on, for a model of this input, (h, w, c); None where a model
    leaves a size open."""
    asked = {"data_dir": request.data_dir, "input_shape": input_shape}
    say = partial(print, file=sys.stderr)
    test = load_test_data(request.data, **asked, say=say)
    if told := test.preprocessing:
        say(f"data: each image is {told}")
    return test.take(min(request.n, len(test)))


def measure(
    file: OpenedFile, classifier: Any, images: ImageData, request: Request, *, keep: bool = False
) -> Measured:
    """Measure the model in `file`.

    Args:
        file: as it was opened, see `opening`.
        classifier: the model, see `attacks.Classifier`.
        images: see `images_for`.
        request: what is wanted.
        keep: whether the images that attacks made are kept.
    """
    if request.corruptions:  # told before hours of attacks
        check_corruptible(images)
    settings = {"attacks": request.attacks, "norm": request.norm, "seed": request.seed}
    own = {"epsilon": request.epsilon, "check": request.check, "keep": keep}
    evaluation, made = evaluate(classifier, images, images.labels, **own, **settings)
    swept, corrupted, failed = None, None, evaluation.failed
    try:
        if request.radii and not failed:
            settings |= {"radii": request.radii, "known": evaluation}
            swept = sweep_radii(classifier, images, images.labels, **settings)
        if request.corruptions and not failed:
            asked = {"corruptions": request.corruptions, "seed": request.seed}
            corrupted = evaluate_corrupted(classifier, images, images.labels, **asked)
    except ModelFailed as error:  # what was measured before is not lost
        failed = str(error)
    return Measured(file, classifier, images, evaluation, swept, corrupted, made, failed)


def check_classes(path: Path, classifier: Any, images: ImageData) -> None:
    """Raise UserError where the classes of the data cannot be the model's outputs.

    Those of a folder are numbered as they lie there, so that each behind one that is missing, or
    has another name, would be another's.
    """
    names = tuple(map(printable, images.class_names))
    own = getattr(classifier, "class_names", ())
    is_folder = isinstance(images.pixels, FilePixels)
    if _are_words(own) and _are_words(names) and own != names:
        k = next(k for k, (ours, theirs) in enumerate(zip_longest(own, names)) if ours != theirs)
        raise UserError(
            f"{path.name} names its classes {first_few(own, 5)}, the data {first_few(names, 5)}; "
            f"the first that differs is number {k}: {_name(own, k)}, {_name(names, k)}. Give the "
            "data the file's classes, in its order: of a folder, one for each, named so or "
            "numbered, and empty where there is no image."
        )
    if not is_folder:
        return
    one, _ = images.first(1)
    try:
        outputs = classifier.logits(one).shape[-1]
    except ModelFailed:  # that is told where it is measured
        return
    if len(names) != outputs:
        few = first_few(names, 5)
        mend = (
            "Make a folder for each class, an empty one where there is no image"
            if len(names) < outputs
            else "Leave no folder but one for each class"
        )
        raise UserError(
            f"{path.name} has {outputs} outputs, the data {len(names)} class folders ({few}): "
            f"which output is whose cannot be told. {mend}; they are numbered in the order of "
            "their names."
        )


def _are_words(names: Sequence[str]) -> bool:
    """Return whether classes have names: numbers say nothing of what they are."""
    return any(not name.isdecimal() for name in names)


def _name(names: Sequence[str], k: int) -> str:
    return repr(names[k]) if k < len(names) else "none"
