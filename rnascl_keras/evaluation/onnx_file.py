"""`rnascl attack MODEL.onnx` or `MODEL.tflite`: deployed image classifiers, attacked as they are.

The file itself is attacked, by the gradient built on its own graph. Of ONNX files neither
TensorFlow nor PyTorch is needed, and neither is imported. It is opened and run in a process of its
own.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Any

from rnascl_keras.attacks.classifier import gradient_complaint
from rnascl_keras.data import ImageData
from rnascl_keras.data.sources import ImageShape
from rnascl_keras.errors import UserError, naming
from rnascl_keras.evaluation.evaluate import Evaluation
from rnascl_keras.evaluation.facts import SATURATES, input_in_words, saturates
from rnascl_keras.evaluation.measured import Measured, check_classes, images_for, measure
from rnascl_keras.evaluation.opened import OpenedFile, opening
from rnascl_keras.evaluation.request import Request
from rnascl_keras.evaluation.results import give
from rnascl_keras.evaluation.rounding import with_square_beside
from rnascl_keras.export.deployed import open_classifier
from rnascl_keras.export.room.guarded import GuardedClassifier
from rnascl_keras.export.room.limits import missing_limits


def attack_files(
    paths: Sequence[Path],
    request: Request,
    *,
    trust: bool = False,
    say: Callable[[str], None] = print,
    **settings: Any,
) -> list[Evaluation]:
    """Attack `.onnx` or `.tflite` files on the same images; of several, say how they differ.

    Args:
        paths: the files.
        request: what is wanted.
        trust: open the files in this process, which they can then end: some 1 % faster.
        say: takes each line of news.
        settings: of all files, None where it is not said:
            mean: subtracted from the pixels, per channel.
            std: what they are divided by, as `mean`.
            layout: "NHWC" or "NCHW", else found out.
            output: name of the output to attack, else the only one that can be class scores.
            providers: onnxruntime's, the preferred first; none means the CPU.

    Raises:
        UserError: of a file, or of the request. Where it is known only when the file is attacked,
            the others are measured, printed and written first.
    """
    request.check_paths(*paths)
    given = {key: value for key, value in settings.items() if value}
    opened = open_classifier if trust else GuardedClassifier
    keep = len(paths) > 1 or request.images_out is not None
    if (missing := missing_limits()) and not trust:
        say(
            f"this system cannot limit the {' and '.join(missing)} that a file takes; open those "
            "of people you do not know on Linux, or in a container."
        )
    # what is wrong with any of them is told before hours of attacks on the others
    files: dict[Path, OpenedFile] = {}
    classifiers = {}
    for path in paths:
        with opening(path) as files[path]:
            classifiers[path] = opened(path, **given)
    asked = {path: _told(path, one, request, say) for path, one in classifiers.items()}
    images = _images_of_all(classifiers, request)
    for path, classifier in classifiers.items():
        check_classes(path, classifier, images)
    if len(paths) > 1:  # of one, `measure` asks before its first attack
        _check_gradients(classifiers.values(), images, request)
    measured: list[Measured] = []
    lost = []
    for path, classifier in classifiers.items():
        words = input_in_words(classifier)
        try:
            measured.append(measure(files[path], classifier, images, asked[path], keep=keep))
            if (found := input_in_words(classifier)) != words:  # as the images have shown
                say(f"{path.name}: {found}")
        except UserError as error:
            if len(paths) == 1:
                raise
            lost.append(f"{path.name} could not be measured: {error}")
    give(measured, request, lost)
    return [one.evaluation for one in measured]


def _images_of_all(classifiers: Mapping[Path, Any], request: Request) -> ImageData:
    """Return the images that all files are measured on.

    Raises:
        UserError: a file does not take them, or they differ, being scaled to what each file takes.
    """
    found: dict[ImageShape, ImageData] = {}
    for path, classifier in classifiers.items():
        shape = classifier.input_shape
        if shape in found:
            continue
        with naming(path) if len(classifiers) > 1 else nullcontext():
            found[shape] = images_for(request, shape)
    if len(found) > 1 and len({images.fingerprint() for images in found.values()}) > 1:
        shapes = ", ".join(f"{path.name} {one.input_shape}" for path, one in classifiers.items())
        raise UserError(
            f"the files take images of other shapes: {shapes}; attack them one by one, or the "
            "comparison would be of other images."
        )
    return next(iter(found.values()))


def _check_gradients(classifiers: Iterable[Any], images: ImageData, request: Request) -> None:
    """Raise UserError where an attack follows a gradient that a file has not."""
    if not request.follows_gradient:
        return
    one_image, _ = images.first(1)
    for classifier in classifiers:
        if complaint := gradient_complaint(classifier, one_image):
            raise UserError(complaint)


def _told(path: Path, classifier: Any, request: Request, say: Callable[[str], None]) -> Request:
    """Say what is attacked; return what is then asked of it."""
    words = input_in_words(classifier)
    say(f"{path.name}: {words}; images go into {classifier.input_name!r}")
    if saturates(classifier):
        say(f"{path.name}: {SATURATES}")
    return with_square_beside(path.name, classifier, request, say)
