"""Peak memory of a search with a cached teacher, by batch and by replicas, and of making a cache.

S3, random images.

Command: python -m benchmarks.memory
The replicas are logical CPU devices of one process, under MirroredStrategy; `batch` is that over
all of them. Prints the largest resident size of a process that does three steps, or that makes a
cache: there, only the images themselves, a byte a value, should grow.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

from benchmarks.peak import of_another_process, peak


def search_peak(folder: Path, batch: int, replicas: int) -> float:
    """Search for three steps; return the process's largest resident size in MiB."""
    import tensorflow as tf

    from rnascl_keras.data import Share
    from rnascl_keras.distribution.strategies import make_strategy

    cpu = tf.config.list_physical_devices("CPU")[0]
    tf.config.set_logical_device_configuration(
        cpu, [tf.config.LogicalDeviceConfiguration()] * replicas
    )
    strategy = make_strategy("mirrored" if replicas > 1 else "one")

    from benchmarks.cached_search import cache_of, random_images, search_under

    cache = cache_of("resnet20", random_images(1024), folder)
    with strategy.scope():
        search = search_under(cache)

    def batches(context: tf.distribute.InputContext) -> tf.data.Dataset:
        return cache.training_batches(batch, share=Share(replicas, 0, replicas))

    data = strategy.distribute_datasets_from_function(batches)
    search.fit(data, steps_per_epoch=3, verbose=0)
    return peak()


def cache_peak(folder: Path, count: int) -> float:
    """Make the cache of a small teacher; return the process's largest resident size in MiB."""
    from benchmarks.cached_search import cache_of, random_images

    cache_of("digits_cnn", random_images(count), folder / str(count))
    return peak()


def main() -> None:
    with tempfile.TemporaryDirectory() as name:
        for replicas in (1, 2):
            for batch in (64, 128, 256):
                found = of_another_process(search_peak, Path(name), batch, replicas)
                print(f"batch {batch} on {replicas} replicas: {found:.0f} MiB", flush=True)
        for count in (8192, 32_768):
            found, images = of_another_process(cache_peak, Path(name), count), count * 3 / 1024
            print(f"cache of {count:,} images, {images:.0f} MiB: {found:.0f} MiB", flush=True)


if __name__ == "__main__":
    main()
