"""What a search costs when the teacher has been asked beforehand. S3, batch 128, random images.

Command: python -m benchmarks.cached_search
Prints three ratios. An epoch of the search with the cache of a WideResNet-34-10, over one with that
of a ResNet-20, in the processor's time: wanted at most 1.10. A step of it, both groups of
variables, over a plain cross-entropy step of the same supernet on the same batch: at most 1.5. The
peak memory of a process that does the former, over one that does the latter: at most 1.3.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from benchmarks.peak import of_another_process, peak
from benchmarks.timing import compare
from rnascl_keras import CrossLayerSearch, Supernet
from rnascl_keras.data import ImageData
from rnascl_keras.data.pixels import ArrayPixels
from rnascl_keras.teachers import build_teacher
from rnascl_keras.teachers.cache import TeacherCache, build_cache, open_cache

BATCH, STEPS = 128, 10


def random_images(count: int) -> ImageData:
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 256, (count, 32, 32, 3), dtype=np.uint8)
    return ImageData(ArrayPixels(pixels), rng.integers(0, 10, count), tuple("0123456789"))


def cache_of(architecture: str, data: ImageData, folder: Path) -> TeacherCache:
    keras.utils.set_random_seed(0)
    teacher = build_teacher(architecture, input_shape=(32, 32, 3), classes=10)
    build_cache(folder / architecture, teacher, data, views=1)
    return open_cache(folder / architecture, teacher, data, views=1)


def search_under(cache: TeacherCache) -> CrossLayerSearch:
    search = CrossLayerSearch(teacher=cache, supernet=Supernet("S3"))
    search.compile(keras.optimizers.SGD(0.01, momentum=0.9), jit_compile=False)
    return search


def plain_supernet() -> Supernet:
    supernet = Supernet("S3")
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    optimizer = keras.optimizers.SGD(0.01, momentum=0.9)
    # Keras leaves the argument without a type, and its default is a text; so in `fit` below
    supernet.compile(optimizer, loss, jit_compile=False)  # pyright: ignore[reportArgumentType]
    return supernet


def epoch_of(cache: TeacherCache) -> Callable[[], object]:
    search, batches = search_under(cache), cache.training_batches(BATCH)
    return lambda: search.fit(batches, steps_per_epoch=STEPS, verbose=0)


def step_of(model: keras.Model, batches: tf.data.Dataset) -> Callable[[], object]:
    """Return a function that does one training step on the first of `batches`, again and again."""
    model.make_train_function()
    first = iter(batches.take(1).cache().repeat())
    step: Any = model.train_function
    return lambda: step(first)


def peak_memory(side: str, folder: Path) -> float:
    """Train an epoch of `side`; return the process's largest resident size in MiB."""
    data = random_images(100 * BATCH)
    if side == "cached search":
        cache = cache_of("resnet20", data, folder)
        model, batches = search_under(cache), cache.training_batches(BATCH)
    else:
        model, batches = plain_supernet(), data.training_batches(BATCH)
    model.fit(batches, steps_per_epoch=3 * STEPS, verbose=0)  # pyright: ignore[reportArgumentType]
    return peak()


def compare_memory(folder: Path) -> None:
    cache_of("resnet20", random_images(100 * BATCH), folder)  # so that neither side builds it
    sides = "cached search", "plain supernet"
    peaks = [of_another_process(peak_memory, side, folder) for side in sides]
    print(
        f"peak memory, cached search over plain supernet: ratio {peaks[0] / peaks[1]:.3f} "
        f"({peaks[0]:.0f} MiB over {peaks[1]:.0f} MiB)"
    )


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        data = random_images(STEPS * BATCH)
        caches = [cache_of(name, data, Path(folder)) for name in ("wide_resnet34_10", "resnet20")]
        compare(
            "search epoch, WideResNet-34-10's cache over ResNet-20's",
            *map(epoch_of, caches),
            repeats=15,
            clock=time.process_time,
        )
        compare(
            "cached search step over the supernet's plain cross-entropy step",
            step_of(search_under(caches[0]), caches[0].training_batches(BATCH)),
            step_of(plain_supernet(), data.training_batches(BATCH)),
        )
        compare_memory(Path(folder) / "memory")


if __name__ == "__main__":
    main()
