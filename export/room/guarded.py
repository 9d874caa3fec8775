"""A classifier in a file that nobody looked over, attacked from outside of its process."""

from __future__ import annotations

import contextlib
import json
import queue
import signal
import subprocess
import sys
import threading
import weakref
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from rnascl_keras.errors import ModelFailed, UserError, printable
from rnascl_keras.export.any_loss import AnyLoss
from rnascl_keras.export.deployed import runtime_of
from rnascl_keras.export.room.arrays import SharedArrays

TRYING = 60.0
PATIENCE = 3600.0
"""Seconds that any answer may take; the process has a limit of its own, in what it computes."""
_TOO_LONG = "SIGPROF"


class GuardedClassifier(AnyLoss):
    """As `OnnxClassifier` or `LiteRTClassifier`, with the file opened in a process of its own.

    That one is limited in memory and in time for each batch. Where it dies, it takes nothing with
    it: the caller gets a `ModelFailed`.

    Args:
        path: the file.
        trying: seconds of the processor that a first try on two images may take.
        settings: of that class, as JSON can hold them.

    Raises:
        UserError: that class refuses the file, or opening it ends its process.

    Attributes:
        path, sha256, input_name, layout, input_shape, class_names, takes_whole_pixels, saturates,
            runtime: as `OnnxClassifier`'s.
        in_words: which output is attacked, in a phrase.
    """

    def __init__(self, path: str | Path, *, trying: float = TRYING, **settings: Any) -> None:
        self.path = Path(path)
        self._arrays = SharedArrays()
        self._lines: queue.Queue[str | None] = queue.Queue()
        # -P: else the current folder, which may have come with the file, would be first on its path
        command = [sys.executable, "-P", "-m", "rnascl_keras.export.room.worker"]
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
        )
        threading.Thread(target=_read, args=(self._process, self._lines), daemon=True).start()
        self.close = weakref.finalize(self, _end, self._process, self._arrays)
        first = {"path": str(path), "settings": settings, "trying": trying}
        facts = self._exchange(first | {"arrays": self._arrays.path})["facts"]
        self._arrays.hide()
        self.sha256: str = facts["sha256"]
        self.input_name: str = facts["input_name"]
        self.layout: str | None = facts["layout"]
        height, width, channels = facts["input_shape"]
        self.input_shape: tuple[int | None, int | None, int | None] = (height, width, channels)
        self.class_names: tuple[str, ...] = tuple(map(printable, facts["class_names"]))
        self.takes_whole_pixels: bool = facts["takes_whole_pixels"]
        self.saturates: bool = facts["saturates"]
        self.runtime: str = facts["runtime"]
        self.in_words: str = printable(facts["in_words"])
        self._rounding = tuple(facts["straight_through"])

    def straight_through(self) -> tuple[str, ...]:
        """See `OnnxClassifier.straight_through`."""
        return self._rounding

    def logits(self, images: np.ndarray) -> np.ndarray:
        """See `OnnxClassifier.logits`."""
        (logits,) = self._ask("logits", [images])
        return logits

    def by_name(
        self, loss: str, images: np.ndarray, told: Sequence[np.ndarray]
    ) -> list[np.ndarray]:
        """See `OnnxClassifier.by_name`."""
        return self._ask("gradient", [images, *told], loss=loss)

    def check_gradient(self, images: np.ndarray) -> None:
        """See `OnnxClassifier.check_gradient`."""
        self._ask("check_gradient", [images[:1]])

    def agreement(self, images: np.ndarray) -> float:
        """See `OnnxClassifier.agreement`."""
        (share,) = self._ask("agreement", [images])
        return float(share)

    def _ask(self, what: str, given: Sequence[np.ndarray], **settings: Any) -> list[np.ndarray]:
        if self._process.poll() is None:
            described = self._arrays.put([np.ascontiguousarray(array) for array in given])
            answer = self._exchange({"do": what, "given": described, "with": settings})
            self.in_words = printable(answer["in_words"])
            return self._arrays.take(answer["made"])
        raise ModelFailed(f"{self.path}: {self._cause()}")

    def _exchange(self, asked: dict[str, Any]) -> dict[str, Any]:
        """Send a line, and return what comes back.

        Raises:
            UserError: the file is refused.
            ModelFailed: the process has ended, or does not answer.
        """
        line, end = f"{json.dumps(asked)}\n".encode(), self._process.stdin
        with contextlib.suppress(BrokenPipeError):
            if end is not None:
                end.write(line)
                end.flush()
        try:
            answered = self._next_line()
        except queue.Empty:
            self.close()
            raise ModelFailed(f"{self.path}: no answer in {PATIENCE:g} s") from None
        except BaseException:  # an interruption: nobody waits for the answer any more
            self.close()
            raise
        if answered is None:
            self._process.wait()
            raise ModelFailed(f"{self.path}: {self._cause()}")
        answer = json.loads(answered)
        if "refused" in answer:
            raise UserError(printable(answer["refused"]))
        if "failed" in answer:
            raise ModelFailed(printable(answer["failed"]))
        return answer

    def _next_line(self) -> str | None:
        """Return what comes next; an interruption waits for a second where waiting is not
        interrupted, as on Windows.

        Raises:
            queue.Empty: nothing came in time.
        """
        for _ in range(int(PATIENCE)):
            with contextlib.suppress(queue.Empty):
                return self._lines.get(timeout=1)
        raise queue.Empty

    def _cause(self) -> str:
        code = self._process.returncode
        name = signal.Signals(-code).name if code and code < 0 else f"exit code {code}"
        if name == _TOO_LONG:
            return "it computes without an end; give a classifier without loops"
        return (
            f"{runtime_of(self.path)} does not survive it ({name}); the file is damaged or means "
            "harm. Export it again"
        )


def _read(process: subprocess.Popen[bytes], lines: queue.Queue[str | None]) -> None:
    for line in process.stdout or ():
        lines.put(line.decode(errors="replace"))
    lines.put(None)


def _end(process: subprocess.Popen[bytes], arrays: SharedArrays) -> None:
    process.kill()
    process.wait()
    for end in (process.stdin, process.stdout):
        if end is not None:
            with contextlib.suppress(BrokenPipeError):
                end.close()
    arrays.close()
