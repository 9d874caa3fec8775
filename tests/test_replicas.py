"""Several replicas train as one does: in a process of its own, with logical CPU devices."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from rnascl_keras.replicas import batch_share, draw_for_images

HERE = Path(__file__).parent


def compared(*models):
    """Return what the script prints for the models: name, replicas, largest difference."""
    command = [sys.executable, str(HERE / "replicas_script.py"), *models]
    result = subprocess.run(command, env=dict(os.environ), capture_output=True, text=True)
    assert result.stdout.endswith("equal\n"), result.stdout + result.stderr[-3000:]
    return [line.split() for line in result.stdout.splitlines()[:-1]]


def test_two_and_four_replicas_search_as_one():
    """Weights, Gumbel variables, both optimizers, on every replica, after five steps."""
    assert [line[:2] for line in compared("search")] == [["search", "2"], ["search", "4"]]


@pytest.mark.slow
@pytest.mark.parametrize("model", ["distiller", "trades", "pgd", "trades_teacher"])
def test_two_and_four_replicas_train_as_one(model):
    assert len(compared(model)) == 2


def test_one_replica_is_left_as_it_is():
    labels = tf.zeros((7,), tf.int64)
    assert batch_share(labels) is None
    shapes = []

    def draw(shape):
        shapes.append(list(np.asarray(shape)))
        return tf.zeros(shape)

    draw_for_images(draw, tf.zeros((7, 2, 2, 1)))
    assert shapes == [[7, 2, 2, 1]]
