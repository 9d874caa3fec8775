"""`rnascl attack MODEL.onnx`: a deployed image classifier, attacked in onnxruntime.

The file itself is attacked, by the gradient built on its own graph; neither TensorFlow nor PyTorch
is needed, and neither is imported. It is opened and run in a process of its own.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from rnascl_keras.evaluation.evaluate import Evaluation
from rnascl_keras.evaluation.request import Request, evaluate_classifier
from rnascl_keras.export.onnx_classifier import OnnxClassifier
from rnascl_keras.export.room.guarded import GuardedClassifier


def attack_file(
    path: Path,
    request: Request,
    *,
    mean: Sequence[float] | None = None,
    std: Sequence[float] | None = None,
    layout: str | None = None,
    output: str | None = None,
    providers: Sequence[str] = (),
    trust: bool = False,
    say: Callable[[str], None] = print,
) -> Evaluation:
    """Attack an `.onnx` file.

    Args:
        path: the file.
        request: what is wanted.
        mean: subtracted from the pixels, per channel; None: nothing.
        std: what they are divided by, as `mean`.
        layout: "NHWC" or "NCHW"; None: found out.
        output: name of the output to attack; None: the only one that can be class scores.
        providers: onnxruntime's, the preferred first; none means the CPU.
        trust: open the file in this process, which it can then end: some 1 % faster.
        say: takes each line of news.
    """
    request.check_paths(path)
    settings = {"mean": mean, "std": std, "layout": layout, "output": output}
    settings["providers"] = tuple(providers)
    settings = {key: value for key, value in settings.items() if value}
    classifier = (OnnxClassifier if trust else GuardedClassifier)(path, **settings)
    layout = classifier.layout or "each image as a row"
    words = f"takes {layout}, {classifier.in_words}"
    say(f"{path.name}: {words}; images go into {classifier.input_name!r}")
    rounding = classifier.straight_through()
    if rounding and "square" not in request.attacks:
        say(
            f"{path.name}: gradients go through {', '.join(rounding)} as if it did not round, "
            "which can mislead attacks that follow them; square is run beside."
        )
        request = replace(request, attacks=[*request.attacks, "square"])
    return evaluate_classifier(path, classifier, classifier.input_shape, request)
