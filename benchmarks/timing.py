"""Two ways of doing one thing, timed in turn in one process."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable


def compare(
    what: str,
    ours: Callable[[], object],
    other: Callable[[], object],
    *,
    repeats: int = 15,
    clock: Callable[[], float] = time.perf_counter,
) -> float:
    """Print and return median time of `ours` / median time of `other`.

    The sides take turns, each the first in every other, so that a machine that grows slower does so
    for both; the first turn of each, which compiles, is not counted.

    Args:
        what: is compared, in words.
        ours: one side.
        other: the other side.
        repeats: turns.
        clock: in seconds. `time.process_time` counts what this process computes, in all its
            threads, so that others on the same machine disturb little.
    """
    seconds: dict[str, list[float]] = {"ours": [], "other": []}
    for turn in range(repeats + 1):
        for side, function in (("ours", ours), ("other", other))[:: 1 if turn % 2 else -1]:
            start = clock()
            function()
            if turn:
                seconds[side].append(clock() - start)
    medians = {side: statistics.median(times) for side, times in seconds.items()}
    ratios = sorted(a / b for a, b in zip(seconds["ours"], seconds["other"], strict=True))
    ratio = medians["ours"] / medians["other"]
    print(
        f"{what}: ratio {ratio:.3f} (turn by turn {ratios[0]:.3f} to {ratios[-1]:.3f}; "
        f"{1000 * medians['ours']:.1f} ms over {1000 * medians['other']:.1f} ms, {repeats} turns)",
        flush=True,
    )
    return ratio
