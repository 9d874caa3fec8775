"""Trains a kind of model on one and on several replicas of this CPU, and compares their states.

A process of its own: logical devices are settled before TensorFlow starts, and a strategy of
another size cannot follow in the same process.
"""

import sys

import keras
import numpy as np
import tensorflow as tf

cpu = tf.config.list_physical_devices("CPU")[0]
tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 4)

from tiny_models import (  # noqa: E402
    make_distiller,
    make_search,
    make_teacher,
    sgd,
    tiny_batch,
)

from rnascl_keras.checkpoint import training_state  # noqa: E402
from rnascl_keras.replicas import synchronized_batch_norm  # noqa: E402
from rnascl_keras.teachers.adversarial_training import AdversarialTrainer  # noqa: E402
from rnascl_keras.trades import Trades  # noqa: E402

STEPS, BATCH = 5, 20
ATTACKED = ("trades", "pgd", "trades_teacher")  # in float32 the sign of a gradient is unstable


def make_trainer(method):
    keras.utils.set_random_seed(3)
    trainer = AdversarialTrainer(make_teacher(), method=method, epsilon=0.1, steps=2, average=0.9)
    trainer.compile(sgd())
    return trainer


def make_conditioned_search():
    """Adam divides by the gradient's size, so with its usual epsilon rounding would be seen."""
    return make_search(architecture_optimizer=keras.optimizers.Adam(0.01, epsilon=1e-3))


MODELS = {
    "search": make_conditioned_search,
    "distiller": make_distiller,
    "trades": lambda: make_distiller(trades=Trades(steps=2, start_deviation=0.05)),
    "pgd": lambda: make_trainer("pgd"),
    "trades_teacher": lambda: make_trainer("trades"),
}


def dealt(replicas):
    """Batches laid out so that each replica's slice holds its part of the first 80 %."""
    images, labels = tiny_batch(STEPS * BATCH)
    order = np.arange(STEPS * BATCH).reshape(STEPS, BATCH // replicas, replicas)
    order = order.transpose(0, 2, 1).ravel()
    return tf.data.Dataset.from_tensor_slices((images[order], labels[order])).batch(BATCH)


def trained(make, strategy):
    with strategy.scope():
        model = make()
    with synchronized_batch_norm(model.classifier, True):
        logs = model.fit(dealt(strategy.num_replicas_in_sync), verbose=0, shuffle=False).history
    return model, logs


name, k = sys.argv[1], int(sys.argv[2])
TOLERANCE = {"rtol": 2e-2, "atol": 2e-3} if name in ATTACKED else {"rtol": 1e-3, "atol": 2e-5}
make = MODELS[name]
one, logs_of_one = trained(make, tf.distribute.get_strategy())
assert len(training_state(one)) > 20
strategy = tf.distribute.MirroredStrategy([f"CPU:{i}" for i in range(k)])
several, logs = trained(make, strategy)
assert several.distribute_strategy.num_replicas_in_sync == k
for ours, theirs in zip(training_state(several), training_state(one), strict=True):
    copies = strategy.experimental_local_results(ours.value)
    assert len(copies) == k
    for copy in copies:
        np.testing.assert_allclose(
            np.asarray(copy), theirs.numpy(), **TOLERANCE, err_msg=theirs.path
        )
for key, values in logs_of_one.items():
    np.testing.assert_allclose(logs[key], values, rtol=TOLERANCE["rtol"], err_msg=key)
print("equal")
