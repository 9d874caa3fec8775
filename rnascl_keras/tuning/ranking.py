"""Robust accuracy with clean accuracy as a constraint."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any


def score(clean: float, robust: float, least_clean: float) -> float:
    """Return what a tuner raises: the robust accuracy where `clean` is at least `least_clean`.

    Otherwise what is missing, as a negative number: behind every student that is clean enough, and
    the nearer to it, the better.

    Args:
        clean, robust, least_clean: from 0 to 1.
    """
    return robust if clean >= least_clean else clean - least_clean


def ranked(trials: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the trials from the best `score` to the worst; of equal ones, the cleaner first.

    Of trials with the same settings, as Hyperband makes them, the longest stands for all.

    Args:
        trials: each with `settings`, `epochs`, `score`, `clean` and its name, `trial`.
    """
    longest: dict[str, dict[str, Any]] = {}
    for trial in trials:
        key = repr(trial["settings"])
        if key not in longest or _length(trial) > _length(longest[key]):
            longest[key] = trial
    return sorted(
        longest.values(), key=lambda trial: (-trial["score"], -trial["clean"], trial["trial"])
    )


def _length(trial: dict[str, Any]) -> int:
    return trial["epochs"]["train"]
