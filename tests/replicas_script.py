"""Trains kinds of models on one and on several replicas, and compares their states.

The replicas are logical devices of this CPU, as many as the first argument says; or, where it says
"workers", the processes that TF_CONFIG tells of, of which this is one.

A process of its own: logical devices are settled before TensorFlow starts, and a strategy of
another size cannot follow in the same process.

It computes in float64. In float32 the order of additions is seen: the sign in an attack and Adam's
division by tiny gradients amplify it, after five steps of the search to 5e-4, of TRADES to 0.1. One
replica differs as much from itself where every weight is off by one rounding at the start.
"""

import sys

import keras
import numpy as np
import tensorflow as tf

keras.config.set_floatx("float64")
keras.config.set_dtype_policy("float64")
cpu = tf.config.list_physical_devices("CPU")[0]
if sys.argv[1] == "workers":
    strategy = tf.distribute.MultiWorkerMirroredStrategy()
else:
    tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 4)
    devices = [f"CPU:{i}" for i in range(int(sys.argv[1]))]
    strategy = tf.distribute.MirroredStrategy(devices)
    assert strategy.num_replicas_in_sync == len(devices)

from tiny_models import (  # noqa: E402
    CLASSES,
    IMAGE,
    make_distiller,
    make_search,
    make_teacher,
    sgd,
    tiny_batch,
)

from rnascl_keras.distribution.replicas import synchronized_batch_norm  # noqa: E402
from rnascl_keras.method.robust_distillation import adaad, igdm  # noqa: E402
from rnascl_keras.method.trades import Trades  # noqa: E402
from rnascl_keras.run.checkpoint import training_state  # noqa: E402
from rnascl_keras.teachers.adversarial_training import AdversarialTrainer  # noqa: E402
from rnascl_keras.teachers.drop_path import DropPath, DropRate  # noqa: E402

STEPS, BATCH = 5, 20
TOLERANCE = {"rtol": 1e-8, "atol": 1e-10}


def make_trainer(method):
    keras.utils.set_random_seed(3)
    trainer = AdversarialTrainer(make_teacher(), method=method, epsilon=0.1, steps=2, average=0.9)
    trainer.compile(sgd())
    return trainer


def regularized():
    """A distiller whose student's kernels each have a regularizer of their own, and that clips."""
    clipping = keras.optimizers.SGD(0.1, momentum=0.9, global_clipnorm=0.05)
    distiller = make_distiller(optimizer=clipping)
    for variable in distiller.student.trainable_variables:
        if variable.name == "kernel":
            variable.regularizer = keras.regularizers.L2(0.1)
    return distiller


def dropped():
    """A student with drop path, of which every image has its own."""
    keras.utils.set_random_seed(4)
    rate = DropRate()
    rate.variable.assign(0.5)
    images = keras.Input(IMAGE)
    x = keras.layers.Conv2D(4, 3, padding="same")(images)
    x = keras.layers.GlobalAveragePooling2D()(DropPath(rate)(x))
    student = keras.Model(images, keras.layers.Dense(CLASSES)(x))
    return make_distiller(student=student, tutors=(), gradient_weight=1.0)


MODELS = {
    "search": make_search,
    "distiller": make_distiller,
    "trades": lambda: make_distiller(trades=Trades(steps=2, start_deviation=0.05)),
    "regularized": regularized,
    "igdm": lambda: make_distiller(robust=igdm(epsilon=0.1, step_size=0.05, steps=2)),
    "entropy_weighted": lambda: make_distiller(
        robust=adaad(epsilon=0.1, step_size=0.05, steps=2, entropy_weighted=True)
    ),
    "dropped": dropped,
    "pgd": lambda: make_trainer("pgd"),
    "trades_teacher": lambda: make_trainer("trades"),
}


def dealt(replicas):
    """Batches laid out so that each replica's slice holds its part of the first 80 %."""
    images, labels = tiny_batch(STEPS * BATCH)
    order = np.arange(STEPS * BATCH).reshape(STEPS, BATCH // replicas, replicas)
    order = order.transpose(0, 2, 1).ravel()
    images = images[order].astype("float64")
    batches = tf.data.Dataset.from_tensor_slices((images, labels[order])).batch(BATCH)
    options = tf.data.Options()
    options.experimental_distribute.auto_shard_policy = tf.data.experimental.AutoShardPolicy.DATA
    return batches.with_options(options)


def trained(make, strategy):
    with strategy.scope():
        model = make()
    with synchronized_batch_norm(model.classifier, True):
        logs = model.fit(dealt(strategy.num_replicas_in_sync), verbose=0, shuffle=False).history
    return model, logs


def compare(make, strategy):
    one, logs_of_one = trained(make, tf.distribute.get_strategy())
    state = training_state(one)
    assert len(state) > 10 and all(v.dtype != "float32" for v in state)
    several, logs = trained(make, strategy)
    for ours, theirs in zip(training_state(several), state, strict=True):
        copies = strategy.experimental_local_results(ours.value)
        assert len(copies) == len(strategy.extended.worker_devices)
        for copy in copies:
            np.testing.assert_allclose(
                np.asarray(copy), theirs.numpy(), **TOLERANCE, err_msg=theirs.path
            )
    for key, values in logs_of_one.items():
        np.testing.assert_allclose(logs[key], values, rtol=1e-6, err_msg=key)


for name in sys.argv[2:]:
    compare(MODELS[name], strategy)
    print(name, "equal")
