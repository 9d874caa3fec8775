"""How long an ONNX file takes for one image."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from rnascl_keras.errors import UserError
from rnascl_keras.export.onnx_input import ImageInput
from rnascl_keras.export.onnx_session import CPU, SessionMaker
from rnascl_keras.export.untrusted import read_model

WARM_UP = 10
LEAST_RUNS, MOST_RUNS = 20, 1000
SECONDS = 1.0
THREADS = {"one_thread": 1, "all_threads": None}


def measure_latency(path: str | Path) -> dict[str, float]:
    """Return milliseconds of one run of an ONNX classifier in onnxruntime on the CPU, batch 1 where
    the file leaves that open.

    Medians, since a machine that does other things too only ever adds to a run: of up to 1,000
    runs within a second, at least 20, after ten that do not count.

    Returns:
        `one_thread`, and `all_threads`: onnxruntime's own choice, one for each physical core.

    Raises:
        UserError: it is no image classifier, or leaves the size of its images open.
    """
    return {key: 1000 * _median_seconds(Path(path), threads) for key, threads in THREADS.items()}


def _median_seconds(path: Path, threads: int | None) -> float:
    session = SessionMaker(path, threads, [CPU]).open(read_model(path))
    given = ImageInput(path, session, layout=None, mean=0.0, std=1.0)
    height, width, channels = given.input_shape
    if height is None or width is None or channels is None:
        raise UserError(
            f"{path} takes images of any size, {given.input_shape}; a latency is that of one size."
        )
    shape = (given.batch or 1, height, width, channels)
    images = np.random.default_rng(0).random(shape, dtype=np.float32)
    feeds = {given.name: given.encode(images)}
    names = [output.name for output in session.outputs]
    return median_seconds(lambda: session.run(names, feeds), SECONDS)


def median_seconds(run: Callable[[], Any], most: float) -> float:
    """Return the median time of a call, of up to 1,000 within `most` seconds, at least 20, after
    ten that do not count."""
    for _ in range(WARM_UP):
        run()
    seconds: list[float] = []
    while len(seconds) < LEAST_RUNS or (len(seconds) < MOST_RUNS and sum(seconds) < most):
        start = time.perf_counter()
        run()
        seconds.append(time.perf_counter() - start)
    return statistics.median(seconds)
