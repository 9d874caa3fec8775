"""`rnascl attack MODEL.onnx` or `MODEL.tflite`: deployed image classifiers, attacked as they are.

The file itself is attacked, by the gradient built on its own graph. Of ONNX files neither
TensorFlow nor PyTorch is needed, and neither is imported. It is opened and run in a process of its
own.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from rnascl_keras.data import ImageData
from rnascl_keras.data.sources import ImageShape
from rnascl_keras.evaluation.evaluate import Evaluation
from rnascl_keras.evaluation.facts import SATURATES, input_in_words, saturates
from rnascl_keras.evaluation.measured import Measured, images_for, measure
from rnascl_keras.evaluation.request import Request
from rnascl_keras.evaluation.results import give
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
        UserError: of a file, or of the request.
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
    measured: list[Measured] = []
    images: dict[ImageShape, ImageData] = {}
    for path in paths:
        classifier = opened(path, **given)
        asked = _told(path, classifier, request, say)
        shape = classifier.input_shape
        if shape not in images:  # files that take the same are measured on the same
            images[shape] = images_for(request, shape)
        measured.append(measure(path, classifier, images[shape], asked, keep=keep))
    give(measured, request)
    return [one.evaluation for one in measured]


def _told(path: Path, classifier: Any, request: Request, say: Callable[[str], None]) -> Request:
    """Say what is attacked; return what is then asked of it."""
    words = input_in_words(classifier)
    say(f"{path.name}: {words}; images go into {classifier.input_name!r}")
    if saturates(classifier):
        say(f"{path.name}: {SATURATES}")
    rounding = classifier.straight_through()
    if not rounding or "square" in request.attacks:
        return request
    say(
        f"{path.name}: gradients go through {', '.join(rounding)} as if it did not round, "
        "which can mislead attacks that follow them; square is run beside."
    )
    return replace(request, attacks=[*request.attacks, "square"])
