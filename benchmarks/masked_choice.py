"""A training step of the supernet, over one of the plain network of the space's largest widths.

Command: python -m benchmarks.masked_choice
Space S3, batch 128, cross-entropy, SGD, both compiled. Wanted: at most 1.25.
"""

from __future__ import annotations

from collections.abc import Callable

import keras
import numpy as np

from benchmarks.timing import compare
from rnascl_keras import Architecture, Supernet
from rnascl_keras.method.spaces import get_space

BATCH = 128


def main() -> None:
    rng = np.random.default_rng(0)
    images = rng.uniform(size=(BATCH, 32, 32, 3)).astype(np.float32)
    labels = rng.integers(0, 10, BATCH)
    space = get_space("S3")
    widest = Architecture(space, tuple(map(tuple, space.widths_everywhere(max)))).build()
    steps = [step_of(model, images, labels) for model in (Supernet("S3"), widest)]
    compare("masked choice: supernet over the plain widest network", *steps)


def step_of(model: keras.Model, images: np.ndarray, labels: np.ndarray) -> Callable[[], object]:
    """Return a function that does one training step of `model` on the batch."""
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    optimizer = keras.optimizers.SGD(0.01, momentum=0.9)
    # Keras leaves the argument without a type, and its default is a text
    model.compile(optimizer, loss, jit_compile=False)  # pyright: ignore[reportArgumentType]
    return lambda: model.train_on_batch(images, labels)


if __name__ == "__main__":
    main()
