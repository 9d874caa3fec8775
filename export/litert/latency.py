"""How long a LiteRT file takes for one image."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from rnascl_keras.errors import UserError
from rnascl_keras.export.latency import SECONDS, median_seconds
from rnascl_keras.export.litert.reading import read_litert
from rnascl_keras.export.litert.session import Interpreter


def measure_litert_latency(path: str | Path) -> dict[str, float]:
    """Return milliseconds of one run of a LiteRT classifier on the CPU, batch 1 where the file
    leaves that open: the median, see `export.latency.measure_latency`.

    Returns:
        `one_thread`.

    Raises:
        UserError: it is no such file, or leaves the size of its images open.
    """
    path = Path(path)
    file = read_litert(path)
    image = file.tensors[file.inputs[0]]
    if None in image.sizes[1:]:
        raise UserError(
            f"{path} takes images of any size, {image.sizes[1:]}; a latency is that of one size."
        )
    interpreter = Interpreter(path, file.content)
    values = np.random.default_rng(0).uniform(0, 1, image.shape).astype(image.dtype)
    return {"one_thread": 1000 * median_seconds(lambda: interpreter.run(values), SECONDS)}
