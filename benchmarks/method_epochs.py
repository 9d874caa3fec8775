"""What an epoch of each way to train a student costs, over one of plain distillation.

Command: python -m benchmarks.method_epochs
S3's widest student, the packaged teacher's network, random images, batch 64, a few steps a turn;
the teacher in a cache where the method does not ask it live. In CPU time, which others on the same
machine disturb little. Wanted of KDIGA with cached input gradients: at most 3.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import keras
import numpy as np

from benchmarks.timing import compare
from rnascl_keras import CrossLayerDistiller, Trades
from rnascl_keras.data import ImageData
from rnascl_keras.data.pixels import ArrayPixels
from rnascl_keras.method.architecture import Architecture
from rnascl_keras.method.robust_distillation import ROBUST, make_robust
from rnascl_keras.method.spaces import get_space
from rnascl_keras.teachers import build_teacher
from rnascl_keras.teachers.cache import build_cache, open_cache

BATCH, STEPS, TURNS = 64, 4, 5
INNER: dict[str, Any] = {"epsilon": 8 / 255, "step_size": 2 / 255, "steps": 10}


def main() -> None:
    in_turn = partial(compare, repeats=TURNS, clock=time.process_time)
    rng = np.random.default_rng(0)
    count = BATCH * STEPS
    pixels = rng.integers(0, 256, (count, 32, 32, 3), dtype=np.uint8)
    data = ImageData(ArrayPixels(pixels), rng.integers(0, 10, count), tuple("0123456789"))
    teacher = build_teacher("resnet18", input_shape=(32, 32, 3), classes=10, width=32)
    with tempfile.TemporaryDirectory() as folder:
        settings: dict[str, Any] = {"views": 1, "gradients": True}
        build_cache(Path(folder), teacher, data, **settings)
        cache = open_cache(Path(folder), teacher, data, **settings)
        plain = epoch_of(cache)
        aligned: dict[str, Any] = {"gradient_weight": 1.0}
        in_turn("KDIGA, cached, over plain", epoch_of(cache, **aligned), plain)
        live = epoch_of(teacher, data, **aligned)
        in_turn("KDIGA, live, over plain", live, plain)
        in_turn("TRADES over plain", epoch_of(cache, trades=Trades()), plain)
        for name in ROBUST:
            asked: tuple = (teacher, data) if "adaad" in name or name == "igdm" else (cache,)
            epoch = epoch_of(*asked, robust=make_robust(name, **INNER))
            in_turn(f"{name} over plain", epoch, plain)


def epoch_of(teacher: Any, data: ImageData | None = None, **objective: Any) -> Callable[[], object]:
    """Return what trains an epoch of a student's own; `data` where the teacher is asked live."""
    space = get_space("S3")
    widths: Any = space.widths_everywhere(max)
    student = Architecture(space, widths).build()
    distiller = CrossLayerDistiller(teacher, student, gamma_t=0.0, **objective)
    distiller.compile(keras.optimizers.SGD(0.01), jit_compile=False)
    batches = (data or teacher).training_batches(BATCH)
    return lambda: distiller.fit(batches, epochs=1, steps_per_epoch=STEPS, verbose=0)


if __name__ == "__main__":
    main()
