"""The most memory that a process has had, as Linux counts it for that process alone."""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

Found = TypeVar("Found")


def peak(process: int | str = "self") -> float:
    """Return the largest resident size so far, in MiB.

    Not `ru_maxrss`, which a process hands down to what it starts, so that a child reports at least
    its parent's.

    Args:
        process: its number, or "self".
    """
    lines = Path(f"/proc/{process}/status").read_text().splitlines()
    return int(next(line.split()[1] for line in lines if line.startswith("VmHWM"))) / 1024


def of_another_process(measure: Callable[..., Found], *given: object) -> Found:
    """Return what `measure` finds in a process of its own, whose memory nobody has used before."""
    with multiprocessing.get_context("spawn").Pool(1) as process:
        return process.apply(measure, given)
