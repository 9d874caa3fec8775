"""A search step of S3 with our gradient of attention maps, over one with the chain rule's.

Command: python -m benchmarks.attention_gradient
Both sides are CPU time, with a cached teacher, at a batch of 128 random images. Wanted: below 1.
"""

from __future__ import annotations

import tempfile
import time
from pathlib import Path
from typing import Any
from unittest.mock import patch

from keras import ops

from benchmarks.cached_search import BATCH, cache_of, random_images, search_under, step_of
from benchmarks.timing import compare
from rnascl_keras.cli.freed_memory import keep_freed_memory
from rnascl_keras.method import attention

STEPS = 5


def by_the_chain_rule(x: Any) -> Any:
    return ops.sum(ops.square(x), axis=-1)


def main() -> None:
    keep_freed_memory()
    with tempfile.TemporaryDirectory() as folder:
        cache = cache_of("resnet20", random_images(4 * BATCH), Path(folder))
        ours, chained = (
            step_of(search_under(cache), cache.training_batches(BATCH)) for _ in range(2)
        )
        with patch.object(attention, "_sum_of_squares", by_the_chain_rule):
            chained()  # the first step is what compiles
        compare(
            f"{STEPS} search steps, our gradient over the chain rule's",
            lambda: [ours() for _ in range(STEPS)],
            lambda: [chained() for _ in range(STEPS)],
            clock=time.process_time,
        )


if __name__ == "__main__":
    main()
