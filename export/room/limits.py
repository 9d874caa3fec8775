"""What this system cannot limit of the process that a stranger's file runs in."""

from __future__ import annotations

import signal
import sys


def missing_limits() -> list[str]:
    """Return which of "memory" and "time" a file can take as much of as there is.

    Memory: Windows has no such limit, and that of other Unixes than Linux leaves out what is mapped
    anonymously, as large arrays are. Time: Windows has no timer of the processor's time.
    """
    missing = [] if _limits_memory() else ["memory"]
    return missing if hasattr(signal, "setitimer") else [*missing, "time"]


def _limits_memory() -> bool:
    try:
        import resource
    except ImportError:
        return False
    return sys.platform == "linux" and hasattr(resource, "RLIMIT_DATA")
