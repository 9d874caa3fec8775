"""Several replicas train as one does: in a process of its own, with logical CPU devices."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from rnascl_keras.distribution.replicas import batch_share, draw_for_images

HERE = Path(__file__).parents[1]


def assert_equal_on(replicas, *models):
    command = [sys.executable, str(HERE / "replicas_script.py"), str(replicas), *models]
    result = subprocess.run(command, env=dict(os.environ), capture_output=True, text=True)
    said = "".join(f"{model} equal\n" for model in models)
    assert result.stdout == said, result.stdout + result.stderr[-3000:]


def test_two_replicas_train_as_one():
    """Weights, Gumbel variables, all optimizers, on every replica, after five steps."""
    assert_equal_on(2, "search", "trades", "regularized", "entropy_weighted", "dropped")


@pytest.mark.slow
def test_two_replicas_train_every_other_model_as_one():
    assert_equal_on(2, "distiller", "pgd", "trades_teacher", "igdm")


@pytest.mark.slow
def test_four_replicas_train_as_one():
    assert_equal_on(4, "search", "distiller", "trades", "pgd", "trades_teacher")


def test_one_replica_is_left_as_it_is():
    labels = tf.zeros((7,), tf.int64)
    assert batch_share(labels) is None
    shapes = []

    def draw(shape):
        shapes.append(list(np.asarray(shape)))
        return tf.zeros(shape)

    draw_for_images(draw, tf.zeros((7, 2, 2, 1)))
    assert shapes == [[7, 2, 2, 1]]
