"""On what a figure was made, in one phrase."""

from __future__ import annotations

import os
import platform
from pathlib import Path


def hardware() -> str:
    """Return the CPU that this process may use, and the GPUs, e.g. ``2 cores of AMD EPYC 7B13``.

    TensorFlow says which GPUs there are.
    """
    import tensorflow as tf

    details = tf.config.experimental.get_device_details
    gpus = [
        details(gpu).get("device_name", "GPU") for gpu in tf.config.list_physical_devices("GPU")
    ]
    return ", ".join([*gpus, processor()])


def processor() -> str:
    """Return how many cores of which CPU this process may use, in one phrase."""
    cores = usable_cores()
    return f"{cores} core{'s' if cores != 1 else ''} of {_processor()}"


def usable_cores() -> int:
    """Return the number of cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def memory() -> int:
    """Return this machine's memory in bytes; where the system does not say, more than any has."""
    if not hasattr(os, "sysconf"):
        return 2**63
    return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")


def _processor() -> str:
    """Return the CPU's name where Linux says it, else its architecture."""
    information = Path("/proc/cpuinfo")
    lines = information.read_text().splitlines() if information.exists() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()
