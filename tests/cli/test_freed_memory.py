"""What is freed is kept: the system need not clear the same memory again and again."""

import os
import subprocess
import sys

import pytest

from rnascl_keras.cli.freed_memory import _is_glibc

if not _is_glibc():
    pytest.skip("the C library here is not glibc", allow_module_level=True)

PROGRAM = """
import resource, sys, threading
import numpy as np
from rnascl_keras.cli.freed_memory import keep_freed_memory

def faults():
    counts = []
    for _ in range(20):
        np.ones(8 * 2**20)  # 64 MiB, freed at once
        counts.append(resource.getrusage(resource.RUSAGE_SELF).ru_minflt)
    found.append(counts[-1] - counts[0])  # the first may clear what nobody has had yet

told, found = sys.argv[1] == "keep" and keep_freed_memory(), []
for start in (lambda thread: thread.run(), lambda thread: (thread.start(), thread.join())):
    start(threading.Thread(target=faults))
print(told, *found)
"""


def told_and_faults(side, **environment):
    """Whether glibc was told, and the page faults of the main thread, and of another."""
    clean = {k: v for k, v in os.environ.items() if not k.startswith(("MALLOC_", "GLIBC"))}
    command = [sys.executable, "-c", PROGRAM, side]
    done = subprocess.run(
        command, env=clean | environment, capture_output=True, text=True, check=True
    )
    told, *faults = done.stdout.split()
    return told == "True", *map(int, faults)


def test_memory_is_not_cleared_anew_for_each_tensor():
    told, *kept = told_and_faults("keep")
    _, *given_back = told_and_faults("leave")
    assert told
    for ours, theirs in zip(kept, given_back, strict=True):
        assert ours < theirs / 5


@pytest.mark.parametrize(
    "own", [{"MALLOC_TRIM_THRESHOLD_": "131072"}, {"GLIBC_TUNABLES": "glibc.malloc.arena_max=4"}]
)
def test_a_user_s_own_settings_stay(own):
    assert not told_and_faults("keep", **own)[0]
