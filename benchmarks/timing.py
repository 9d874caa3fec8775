"""Two ways of doing one thing, timed in turn in one process."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Sequence


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
    milliseconds: dict[str, list[float]] = {"ours": [], "other": []}
    for turn in range(repeats + 1):
        for side, function in (("ours", ours), ("other", other))[:: 1 if turn % 2 else -1]:
            start = clock()
            function()
            if turn:
                milliseconds[side].append(1000 * (clock() - start))
    return say_ratio(what, milliseconds["ours"], milliseconds["other"], "ms")


def say_ratio(what: str, ours: Sequence[float], others: Sequence[float], unit: str) -> float:
    """Print and return the ratio of two sides' medians, with how it went turn by turn.

    Args:
        what: is compared, in words.
        ours, others: what each turn found.
        unit: of that.
    """
    ratios = sorted(a / b for a, b in zip(ours, others, strict=True))
    mine, theirs = statistics.median(ours), statistics.median(others)
    print(
        f"{what}: ratio {mine / theirs:.3f} (turn by turn {ratios[0]:.3f} to {ratios[-1]:.3f}; "
        f"{mine:.1f} {unit} over {theirs:.1f} {unit}, {len(ratios)} turns)",
        flush=True,
    )
    return mine / theirs
