"""What keeping freed memory changes: a training step's CPU time, and the process's memory. Linux.

Command: python -m benchmarks.freed_memory
Prints two ratios, of processes that tell glibc to keep what is freed, as `rnascl` does, over such
that do not, in turn. A step is one of S3's search with a cached teacher, at a batch of 128 random
images: wanted at most 0.9. The most memory: at most 1.1.
"""

from __future__ import annotations

import tempfile
import time
from pathlib import Path

from benchmarks.cached_search import BATCH, cache_of, random_images, search_under, step_of
from benchmarks.peak import of_another_process, peak
from benchmarks.timing import say_ratio
from rnascl_keras.cli.freed_memory import keep_freed_memory

TURNS, STEPS = 5, 20


def measure(keep: bool, folder: Path) -> tuple[float, float]:
    """Return a step's CPU milliseconds and the process's largest resident size in MiB."""
    if keep and not keep_freed_memory():
        raise SystemExit("glibc was not told: is it this system's, and no MALLOC_ variable set?")
    cache = cache_of("resnet20", random_images(4 * BATCH), folder)
    step = step_of(search_under(cache), cache.training_batches(BATCH))
    for _ in range(3):  # which compile, and take what memory it needs
        step()
    start = time.process_time()
    for _ in range(STEPS):
        step()
    return 1000 * (time.process_time() - start) / STEPS, peak()


def main() -> None:
    found: dict[bool, list[tuple[float, float]]] = {True: [], False: []}
    with tempfile.TemporaryDirectory() as folder:
        cache_of("resnet20", random_images(4 * BATCH), Path(folder))  # so that no side builds it
        for turn in range(TURNS):
            for keep in (True, False)[:: 1 if turn % 2 else -1]:
                found[keep].append(of_another_process(measure, keep, Path(folder)))
    for k, (what, unit) in enumerate((("CPU time of a step", "ms"), ("most memory", "MiB"))):
        ours, others = ([pair[k] for pair in found[keep]] for keep in (True, False))
        say_ratio(f"{what}, freed memory kept over not", ours, others, unit)


if __name__ == "__main__":
    main()
