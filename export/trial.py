"""A first try of an ONNX file in a process of its own, which may crash, hang or run out of memory.

What onnxruntime does with a file nobody looked over is not in our hands: a whole number divided by
0 ends its process, a loop in the file need never end. So before a file from anywhere is attacked,
another process opens it and runs it, forwards and backwards, on two images.
"""

from __future__ import annotations

import contextlib
import json
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from rnascl_keras.errors import UserError
from rnascl_keras.export.onnx_session import most_memory

SECONDS = 300
REFUSED = 3
# of images whose size the file leaves open
SIZE = 64


def try_out(path: Path, *, seconds: float = SECONDS, **settings: Any) -> None:
    """Open and run the model in `path` elsewhere.

    Args:
        path: the file.
        seconds: after which it is taken to hang.
        settings: of `OnnxClassifier`, such as `layout`.

    Raises:
        UserError: `OnnxClassifier` refuses the file, or that process did not live to its end. That
            it has no gradient is no reason: it can be attacked by score.
    """
    # -P: else the current folder, which may have come with the file, would be first on its path
    command = [sys.executable, "-P", "-m", __name__, str(path), json.dumps(settings)]
    try:
        done = subprocess.run(
            command, stdin=subprocess.DEVNULL, capture_output=True, timeout=seconds, check=False
        )
    except subprocess.TimeoutExpired:
        raise UserError(
            f"{path}: two images did not go through it in {seconds:g} s; give a smaller "
            "classifier, without loops."
        ) from None
    if done.returncode == REFUSED:
        raise UserError(done.stdout.decode(errors="replace").strip())
    if done.returncode:
        raise UserError(
            f"{path}: onnxruntime does not survive it ({_cause(done)}); the file is damaged or "
            "means harm. Export it again."
        )


def _cause(done: subprocess.CompletedProcess[bytes]) -> str:
    if done.returncode < 0:
        return signal.Signals(-done.returncode).name
    last = done.stderr.decode(errors="replace").strip().splitlines()[-1:]
    return "".join(c if c.isprintable() else "?" for c in "".join(last)[:200])


def _try(path: Path, settings: dict[str, Any]) -> None:
    """Do all that an attack does with the file."""
    from rnascl_keras.export.onnx_classifier import OnnxClassifier

    classifier = OnnxClassifier(path, **settings)
    shape = classifier.some_image_shape(SIZE)
    images = np.random.default_rng(0).uniform(0, 1, (2, *shape)).astype(np.float32)
    # images of another size may fit where this one does not
    errors = (UserError,) if None in classifier.input_shape else ()
    with contextlib.suppress(*errors):
        classifier.logits(images)
    with contextlib.suppress(UserError):
        classifier.loss_and_gradient(images, np.zeros(2, int))


def _limit_memory() -> None:
    """Take no more than most of the machine's memory; where no such limit exists, go without."""
    try:
        import resource
    except ImportError:
        return
    resource.setrlimit(resource.RLIMIT_DATA, (most_memory(), most_memory()))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def main(arguments: Sequence[str]) -> None:
    """Be that other process: a path, and settings as JSON."""
    _limit_memory()
    path, settings = arguments
    try:
        _try(Path(path), json.loads(settings))
    except UserError as error:
        print(error)
        sys.exit(REFUSED)


if __name__ == "__main__":
    main(sys.argv[1:])
