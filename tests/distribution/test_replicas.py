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


OVERFLOW = """
import keras
import numpy as np
import tensorflow as tf
from rnascl_keras.distribution.replicas import apply_gradients

cpu = tf.config.list_physical_devices("CPU")[0]
tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
strategy = tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])

def stepped(where, clip):
    with strategy.scope():
        variable = keras.Variable([1.0, 1.0])
        optimizer = keras.optimizers.LossScaleOptimizer(keras.optimizers.SGD(0.1, **clip))
        optimizer.build([variable])
    def scale():
        return float(strategy.experimental_local_results(optimizer.dynamic_scale.value)[0])

    before = scale()

    def descend():
        replica = tf.distribute.get_replica_context().replica_id_in_sync_group
        ours = tf.where(tf.equal(replica, where), np.inf, before)
        apply_gradients(optimizer, [tf.stack([ours, 0.0])], [variable])

    tf.function(lambda: strategy.run(descend))()
    copies = [x.numpy().tolist() for x in strategy.experimental_local_results(variable.value)]
    return copies, scale() / before

for clip in ({}, {"clipvalue": 1.0}, {"global_clipnorm": 1.0}):
    for where in (0, 1):
        assert stepped(where, clip) == ([[1.0, 1.0]] * 2, 0.5), (where, clip)
    (weights, _), scale = stepped(-1, clip)
    np.testing.assert_allclose(weights, [0.9 if clip else 0.8, 1.0], rtol=1e-6)
    assert scale == 1
"""


def test_an_overflow_on_any_replica_keeps_all_from_the_step():
    """So a scaled loss finds its scale; without it the step is that of the whole gradient."""
    done = subprocess.run([sys.executable, "-c", OVERFLOW], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-3000:]


def test_one_replica_is_left_as_it_is():
    labels = tf.zeros((7,), tf.int64)
    assert batch_share(labels) is None
    shapes = []

    def draw(shape):
        shapes.append(list(np.asarray(shape)))
        return tf.zeros(shape)

    draw_for_images(draw, tf.zeros((7, 2, 2, 1)))
    assert shapes == [[7, 2, 2, 1]]
