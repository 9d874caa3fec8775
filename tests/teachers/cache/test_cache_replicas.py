"""Replicas share the batches of a cache, and the making of one."""

import os
import subprocess
import sys
from pathlib import Path

from cached_teacher import build

TWO_REPLICAS = """
import sys
import numpy as np, tensorflow as tf
cpu = tf.config.list_physical_devices("CPU")[0]
tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
from cached_teacher import build, live_batches, opened, ten_class_teacher
from tiny_models import IMAGE
from rnascl_keras.method.architecture import Tutor
from rnascl_keras.method.distill import CrossLayerDistiller



def own_student():
    layers = [tf.keras.layers.Conv2D(3, 3, name="own"), tf.keras.layers.Flatten()]
    layers.append(tf.keras.layers.Dense(10))
    return tf.keras.Sequential([tf.keras.Input(IMAGE), *layers])


cache = opened(sys.argv[1])
strategy = tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])
batches = cache.training_batches(20)
for whole, parts in zip(batches.take(4), strategy.experimental_distribute_dataset(batches)):
    locals_ = [strategy.experimental_local_results(x) for x in tf.nest.flatten(parts)]
    assert all(len(local) == 2 and local[0].shape[0] == 10 for local in locals_)
    for x, local in zip(tf.nest.flatten(whole), locals_):
        np.testing.assert_array_equal(x, tf.concat(local, 0))

logs = []
for teacher, data in ((cache, batches), (ten_class_teacher(), live_batches(20))):
    with strategy.scope():
        tf.keras.utils.set_random_seed(0)
        model = CrossLayerDistiller(teacher, own_student(), [Tutor("own", "conv2")])
        model.compile("sgd")
    logs.append(model.fit(data, epochs=2, steps_per_epoch=3, verbose=0).history)
for name in ("cross_entropy", "kl", "attention"):
    np.testing.assert_allclose(logs[0][name], logs[1][name], rtol=2e-3)

with strategy.scope():
    build(sys.argv[2])
shared = opened(sys.argv[2])
for (ours, _), (theirs, _) in zip(shared.training_batches(20).take(4), batches):
    for name, values in theirs.items():  # one rounding of float16 apart, at most
        np.testing.assert_allclose(ours[name], values, rtol=2e-3, atol=1e-3)
print("equal")
"""


def test_two_replicas_share_each_batch(tmp_path):
    """And train as under the live teacher, and build the cache that one builds. In a process of its
    own: logical devices are set before TensorFlow starts."""
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    folders = tmp_path / "built", tmp_path / "shared"
    build(folders[0])
    command = [sys.executable, "-c", TWO_REPLICAS, *map(str, folders)]
    result = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert result.stdout.endswith("equal\n"), result.stderr[-2000:]
