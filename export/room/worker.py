"""The process that opens a stranger's file: it is told what to do in lines, and may be ended.

What onnxruntime or LiteRT does with a file nobody looked over is not in our hands: a whole number
divided by 0 ends its process, a loop in the file need never end. Here both end this process only.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, TextIO

import numpy as np

from rnascl_keras.errors import ModelFailed, UserError, one_line
from rnascl_keras.export.deployed import open_classifier
from rnascl_keras.export.onnx_session import most_memory
from rnascl_keras.export.room.arrays import SharedArrays

# of images whose size the file leaves open
SIZE = 64
OPENING = 300.0
LEAST = 4.0
TIMES_TRIED = 50
"""How long it may compute, in seconds of the processor: to open the file; on a batch, and as many
times as long as the images of the first try took."""


class Worker:
    """Does what the other process asks with one file.

    Args:
        path: the file.
        settings: of `OnnxClassifier` or `LiteRTClassifier`.
        trying: seconds of the processor that two images may take.
    """

    def __init__(self, path: Path, settings: dict[str, Any], trying: float) -> None:
        with limited(OPENING):
            self._classifier = open_classifier(path, **settings)
            self._rounding = self._classifier.straight_through()
        with limited(trying):
            self._seconds_an_image = self._try()

    def facts(self) -> dict[str, Any]:
        """Return what the other process has to know of the classifier."""
        classifier = self._classifier
        names = "sha256 input_name layout input_shape class_names takes_whole_pixels"
        names += " saturates runtime in_words"
        facts = {name: getattr(classifier, name) for name in names.split()}
        return facts | {"straight_through": self._rounding}

    @property
    def in_words(self) -> str:
        """Which output is attacked, and how, as far as that is known by now."""
        return self._classifier.in_words

    def logits(self, images: np.ndarray) -> list[np.ndarray]:
        """Return the logits."""
        with self._limited_by(images):
            return [self._classifier.logits(images, batch_size=len(images))]

    def gradient(self, images: np.ndarray, *told: np.ndarray, loss: str) -> list[np.ndarray]:
        """Return logits, each image's loss, and its gradient, see `OnnxClassifier.by_name`."""
        with limited(OPENING):
            self._classifier.check_gradient(images, loss)
        with self._limited_by(images):
            return list(self._classifier.by_name(loss, images, told))

    def agreement(self, images: np.ndarray) -> list[np.ndarray]:
        """See `OnnxClassifier.agreement`."""
        with limited(OPENING):
            return [np.array(self._classifier.agreement(images))]

    def check_gradient(self, images: np.ndarray) -> list[np.ndarray]:
        """See `OnnxClassifier.check_gradient`."""
        with limited(OPENING):
            self._classifier.check_gradient(images)
        return []

    def _try(self) -> float:
        """Do all that an attack does on two images; return the processor's seconds for each."""
        shape = self._classifier.some_image_shape(SIZE)
        images = np.random.default_rng(0).uniform(0, 1, (2, *shape)).astype(np.float32)
        # images of another size may fit where this one does not
        errors = (UserError,) if None in self._classifier.input_shape else ()
        before = time.process_time()
        with contextlib.suppress(*errors):
            self._classifier.logits(images)
        with contextlib.suppress(UserError):
            self._classifier.loss_and_gradient(images, np.zeros(2, int))
        self._classifier.look_again()
        return (time.process_time() - before) / 2

    def _limited_by(self, images: np.ndarray) -> contextlib.AbstractContextManager[None]:
        return limited(LEAST + TIMES_TRIED * self._seconds_an_image * len(images))


@contextlib.contextmanager
def limited(seconds: float) -> Iterator[None]:
    """End this process, by SIGPROF, where it computes longer within; where there is no such timer,
    the other process's patience is the limit."""
    timer = getattr(signal, "ITIMER_PROF", None)
    if timer is not None:
        signal.setitimer(timer, seconds)
    try:
        yield
    finally:
        if timer is not None:
            signal.setitimer(timer, 0)


def _limit_memory() -> None:
    """Take no more than most of the machine's memory, and never more than was allowed before; where
    no such limit exists, go without."""
    try:
        import resource
    except ImportError:
        return
    for kind, wanted in ((resource.RLIMIT_DATA, most_memory()), (resource.RLIMIT_CORE, 0)):
        allowed = [x for x in resource.getrlimit(kind) if x != resource.RLIM_INFINITY]
        least = min([wanted, *allowed])
        resource.setrlimit(kind, (least, least))


def _answers() -> TextIO:
    """Return where answers go; what else writes to standard output goes to standard error."""
    own = os.dup(1)
    os.dup2(2, 1)
    return os.fdopen(own, "w")


def main() -> None:
    """Be that process: the first line says the file, each other one what to do."""
    # an interruption from the terminal is the other process's to handle
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    answers = _answers()
    _limit_memory()
    worker: Worker | None = None
    arrays: SharedArrays | None = None
    path: Path | None = None
    for line in sys.stdin:
        asked = json.loads(line)
        try:
            if worker is None or arrays is None:
                arrays, path = SharedArrays(asked["arrays"]), Path(asked["path"])
                worker = Worker(path, asked["settings"], asked["trying"])
                answer: dict[str, Any] = {"facts": worker.facts()}
            else:
                given = arrays.take(asked["given"])
                made = getattr(worker, asked["do"])(*given, **asked["with"])
                answer = {"made": arrays.put(made), "in_words": worker.in_words}
        except ModelFailed as error:
            answer = {"failed": error.what}
        except UserError as error:
            answer = {"refused": str(error)}
        except Exception as error:  # whatever a file can bring about
            answer = {"failed": f"{path}: {one_line(error)}"}
        print(json.dumps(answer), file=answers, flush=True)


if __name__ == "__main__":
    main()
