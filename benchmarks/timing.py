"""Two ways of doing one thing, timed in turn in one process."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable


def compare(
    what: str, ours: Callable[[], object], other: Callable[[], object], *, repeats: int = 15
) -> float:
    """Print and return median time of `ours` / median time of `other`.

    The sides take turns, so that a machine that grows slower does so for both; the first turn of
    each, which compiles, is not counted.
    """
    seconds: dict[str, list[float]] = {"ours": [], "other": []}
    for turn in range(repeats + 1):
        for side, function in (("ours", ours), ("other", other)):
            start = time.perf_counter()
            function()
            if turn:
                seconds[side].append(time.perf_counter() - start)
    medians = {side: statistics.median(times) for side, times in seconds.items()}
    ratios = sorted(a / b for a, b in zip(seconds["ours"], seconds["other"], strict=True))
    ratio = medians["ours"] / medians["other"]
    print(
        f"{what}: ratio {ratio:.3f} (turn by turn {ratios[0]:.3f} to {ratios[-1]:.3f}; "
        f"{1000 * medians['ours']:.1f} ms over {1000 * medians['other']:.1f} ms, {repeats} turns)",
        flush=True,
    )
    return ratio
