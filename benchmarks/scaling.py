"""How two workers search compared with one: S3, 128 images a worker, one core each, cached teacher.

Command: python -m benchmarks.scaling [--batch 128] [--rounds 2]
The workers are processes of this machine that talk over loopback, each held to a core of its own.
Prints images per second of one worker, of two together, and of two that do not know of each other,
which is what the machine itself allows; then the ratios. Two over one: wanted at least 1.8. The
same by the processor's time, which other programs on the machine take nothing from: what working
together costs a core, without waiting.
"""

from __future__ import annotations

import argparse
import json
import os
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import keras
    import tensorflow as tf

STEPS, EPOCHS = 8, 4


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


def start(folder: str, batch: int, core: int, addresses: list[str]) -> subprocess.Popen:
    """Start the worker that is held to `core`, one of `addresses`; with one address it is alone."""
    environment = {
        **os.environ,
        "CUDA_VISIBLE_DEVICES": "-1",
        "TF_CPP_MIN_LOG_LEVEL": "3",
        "TF_NUM_INTRAOP_THREADS": "1",
    }
    if len(addresses) > 1:
        task = {"type": "worker", "index": core}
        environment["TF_CONFIG"] = json.dumps({"cluster": {"worker": addresses}, "task": task})
    command = [sys.executable, "-m", "benchmarks.scaling", "--work", folder, "--batch", str(batch)]
    return subprocess.Popen(
        [*command, "--core", str(core)],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def measured(processes: list[subprocess.Popen]) -> tuple[float, float]:
    """Return the sums of what the processes print last: images per second, and per second of a
    core."""
    printed, failures = [], []
    for process in processes:
        out, err = process.communicate()
        if process.returncode:
            failures.append(err[-2000:])
        else:
            printed.append(out.splitlines()[-1].split())
    if failures:  # of all: one that lost its peer only says so
        raise SystemExit("\n".join(failures))
    wall, cpu = (sum(float(numbers[k]) for numbers in printed) for k in (0, 1))
    return wall, cpu


def clock(taken: list[list[float]]) -> keras.callbacks.Callback:
    """Return a callback that adds to `taken` the seconds of each epoch, and those of its core."""
    import keras

    class Clock(keras.callbacks.Callback):
        def on_epoch_begin(self, epoch: int, logs: dict | None = None) -> None:
            self._begin = time.perf_counter(), time.process_time()

        def on_epoch_end(self, epoch: int, logs: dict | None = None) -> None:
            now = time.perf_counter(), time.process_time()
            taken.append([end - begin for begin, end in zip(self._begin, now, strict=True)])

    return Clock()


def work(folder: str, batch: int, core: int) -> None:
    """Search; print the images per second of this worker and of its core, the median epoch's."""
    os.sched_setaffinity(0, {core})
    import keras

    from benchmarks.cached_search import cache_of, random_images, search_under
    from rnascl_keras.data import Share
    from rnascl_keras.distribution.strategies import make_strategy
    from rnascl_keras.distribution.workers import total
    from rnascl_keras.run.stopping import StopRequest

    strategy = make_strategy("auto")
    cache = cache_of("resnet20", random_images(STEPS * 2 * batch), Path(folder) / str(core))
    with strategy.scope():
        search = search_under(cache)

    def batches(context: tf.distribute.InputContext) -> tf.data.Dataset:
        share = Share(context.num_replicas_in_sync, context.input_pipeline_id)
        return cache.training_batches(batch * context.num_replicas_in_sync, share=share)

    stop = StopRequest(lambda noted: total(strategy, float(noted)) > 0)
    asking = keras.callbacks.LambdaCallback(
        on_train_batch_end=lambda batch, logs: stop.is_requested()
    )
    taken: list[list[float]] = []
    search.fit(
        strategy.distribute_datasets_from_function(batches),
        steps_per_epoch=STEPS,
        epochs=1 + EPOCHS,  # the first compiles
        callbacks=[clock(taken), asking],  # as in a run
        verbose=0,
    )
    times = zip(*taken[1:], strict=True)
    print(*(STEPS * batch / statistics.median(seconds) for seconds in times), flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--batch", type=int, default=128, help="images a worker and step")
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--work", help=argparse.SUPPRESS)
    parser.add_argument("--core", type=int, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.work:
        work(options.work, options.batch, options.core)
        return
    found = {"one": [], "two": [], "two apart": []}
    with tempfile.TemporaryDirectory() as folder:
        for turn in range(options.rounds):
            addresses = [f"127.0.0.1:{free_port()}" for _ in range(2)]
            sides = {"one": ([0], ["alone"]), "two": ([0, 1], addresses)}
            sides["two apart"] = ([0, 1], ["alone"])
            for side, (cores, cluster) in sides.items():
                started = [start(folder, options.batch, core, cluster) for core in cores]
                found[side].append(measured(started))
                wall, cpu = found[side][-1]
                print(f"round {turn}: {side}: {wall:.0f} images/s, {cpu:.0f} by core time")
                sys.stdout.flush()
    for k, how in enumerate(("images per second", "images per second of core time")):
        median = {side: statistics.median(v[k] for v in values) for side, values in found.items()}
        for side in ("two", "two apart"):
            print(f"{how}, {side} over one: {median[side] / median['one']:.2f}")


if __name__ == "__main__":
    main()
