"""Products in whole float32 precision, on every device."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator


@contextlib.contextmanager
def full_float32() -> Iterator[None]:
    """Keep TensorFlow from TensorFloat-32, whose products carry 10 bits on recent GPUs."""
    import tensorflow as tf

    before = tf.config.experimental.tensor_float_32_execution_enabled()
    tf.config.experimental.enable_tensor_float_32_execution(False)
    try:
        yield
    finally:
        tf.config.experimental.enable_tensor_float_32_execution(before)
