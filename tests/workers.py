"""Several processes of `rnascl` that train together over loopback."""

from __future__ import annotations

import contextlib
import json
import os
import socket
import subprocess
import sys
import time

MAIN = "from rnascl_keras.cli import main; main()"


def free_ports(count):
    """Return ports that nobody listens on at the moment."""
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [one.getsockname()[1] for one in sockets]


@contextlib.contextmanager
def started(*arguments, workers=2, logs, code=MAIN):
    """Start workers with the same command line; give the processes, and kill what is left.

    Args:
        logs: folder for `worker0.log`, ...: what each has printed.
        code: what each runs.
    """
    addresses = [f"127.0.0.1:{port}" for port in free_ports(workers)]
    processes = []
    with contextlib.ExitStack() as stack:
        for index in range(workers):
            config = {
                "cluster": {"worker": addresses},
                "task": {"type": "worker", "index": index},
            }
            environment = {
                **os.environ,
                "TF_CONFIG": json.dumps(config),
                "TF_CPP_MIN_LOG_LEVEL": "3",
                "CUDA_VISIBLE_DEVICES": "-1",
            }
            log = stack.enter_context(open(logs / f"worker{index}.log", "w"))
            command = [sys.executable, "-c", code, *map(str, arguments)]
            processes.append(
                subprocess.Popen(command, env=environment, stdout=log, stderr=log, text=True)
            )
        try:
            yield processes
        finally:
            for process in processes:
                process.kill()
                process.wait()


def finished(processes, timeout=500):
    """Wait for all; return their exit codes."""
    end = time.monotonic() + timeout
    return [process.wait(max(1, end - time.monotonic())) for process in processes]
