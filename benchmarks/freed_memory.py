"""What keeping freed memory changes: a training step's CPU time, and the process's memory. Linux.

Command: python -m benchmarks.freed_memory
Prints two ratios, of processes that tell glibc to keep what is freed, as `rnascl` does, over such
that do not, in turn. A step is one of S3's search with a cached teacher, at a batch of 128 random
images: wanted at most 0.9. The most memory: at most 1.1.
"""

from __future__ import annotations

import multiprocessing
import statistics
import tempfile
import time
from pathlib import Path

from benchmarks.cached_search import BATCH, cache_of, random_images, search_under, step_of
from benchmarks.peak import peak
from rnascl_keras.cli.freed_memory import keep_freed_memory

TURNS, STEPS = 5, 20


def measure(keep: bool, folder: Path) -> tuple[float, float]:
    """Return a step's CPU seconds and the process's largest resident size in MiB."""
    if keep and not keep_freed_memory():
        raise SystemExit("glibc was not told: is it this system's, and no MALLOC_ variable set?")
    cache = cache_of("resnet20", random_images(4 * BATCH), folder)
    step = step_of(search_under(cache), cache.training_batches(BATCH))
    for _ in range(3):  # which compile, and take what memory it needs
        step()
    start = time.process_time()
    for _ in range(STEPS):
        step()
    return (time.process_time() - start) / STEPS, peak()


def main() -> None:
    found: dict[bool, list[tuple[float, float]]] = {True: [], False: []}
    with tempfile.TemporaryDirectory() as folder:
        cache_of("resnet20", random_images(4 * BATCH), Path(folder))  # so that no side builds it
        for turn in range(TURNS):
            for keep in (True, False)[:: 1 if turn % 2 else -1]:
                with multiprocessing.get_context("spawn").Pool(1) as process:
                    found[keep].append(process.apply(measure, (keep, Path(folder))))
    for what, ours, others, unit in zip(
        ("CPU time of a step", "most memory"),
        zip(*found[True], strict=True),
        zip(*found[False], strict=True),
        ("s", "MiB"),
        strict=True,
    ):
        ratios = sorted(a / b for a, b in zip(ours, others, strict=True))
        kept, left = statistics.median(ours), statistics.median(others)
        print(
            f"{what}, freed memory kept over not: ratio {kept / left:.3f} "
            f"(turn by turn {ratios[0]:.3f} to {ratios[-1]:.3f}; "
            f"{kept:.4g} over {left:.4g} {unit}, {TURNS} turns)"
        )


if __name__ == "__main__":
    main()
