"""Memory that one step frees is kept for the next, where glibc would give it back."""

from __future__ import annotations

import ctypes
import os

MMAP_THRESHOLD, TRIM_THRESHOLD, TOP_PAD, ARENA_MAX = -3, -1, -2, -8
"""What `mallopt` may be told, as numbered in glibc's malloc.h."""

LARGEST = 2**31 - 1

TOLD = {MMAP_THRESHOLD: LARGEST, TRIM_THRESHOLD: LARGEST, TOP_PAD: 2**28, ARENA_MAX: 1}
"""No block of its own for a large tensor, nothing given back below 2 GiB, the heap grown by 256 MiB
at a time, and one heap for all threads: each would keep what the others could use."""


def keep_freed_memory() -> bool:
    """Tell glibc to keep what is freed, before there are threads; return whether it was told.

    What it gives back, as it does with blocks of more than 32 MB, the system clears page by page
    when it is next taken: an eighth of a training step on a CPU (benchmarks/freed_memory.py). A
    user's own settings of glibc's malloc stay, and any other C library is left as it is.
    """
    own = any(name.startswith("MALLOC_") for name in os.environ)
    if own or "glibc.malloc" in os.environ.get("GLIBC_TUNABLES", "") or not _is_glibc():
        return False
    mallopt = ctypes.CDLL(None).mallopt
    taken = [mallopt(parameter, value) for parameter, value in TOLD.items()]
    return all(taken)


def _is_glibc() -> bool:
    known = getattr(os, "confstr_names", {})
    name = "CS_GNU_LIBC_VERSION"
    return name in known and (os.confstr(name) or "").startswith("glibc")
