"""A model's own regularizers and added losses count in every trainer, beside its coupled L2."""

import keras
import numpy as np
import pytest
from keras import layers, ops
from tiny_models import CLASSES, IMAGE, make_distiller, make_search, tiny_batch

from rnascl_keras.method.trades import Trades
from rnascl_keras.teachers.adversarial_training import AdversarialTrainer

IMAGES, LABELS = tiny_batch()
FLAT = IMAGES.reshape(len(IMAGES), -1)
RATE, KERNEL, ADDED = 0.1, 0.3, 0.7


class Adding(layers.Layer):
    """Leaves its input as it is, and adds to the loss the mean over the batch of its product with
    a weight."""

    def build(self, shape):
        self.factor = self.add_weight(shape=(shape[-1],), initializer="ones")

    def call(self, x):
        self.add_loss(ADDED * ops.mean(ops.matmul(x, self.factor[:, None])))
        return x


def student(penalized, activation):
    keras.utils.set_random_seed(0)
    regularizer = keras.regularizers.L2(KERNEL) if penalized else None
    dense = layers.Dense(CLASSES, activation=activation, kernel_regularizer=regularizer)
    between = [Adding()] if penalized else []
    inner = keras.Sequential([keras.Input(IMAGE), layers.Flatten(), *between, dense])
    return keras.Sequential([keras.Input(IMAGE), inner])


TRADES = Trades(epsilon=1e-6, step_size=1e-6, steps=1, start_deviation=0.0)
TRAINERS = {
    "fast": lambda model: AdversarialTrainer(model, method="fast", epsilon=1e-6, weight_decay=0.2),
    "trades": lambda model: AdversarialTrainer(
        model, method="trades", epsilon=1e-6, steps=1, weight_decay=0.2
    ),
    "distiller": lambda model: make_distiller(student=model, tutors=(), weight_decay=0.2),
    "distiller with trades": lambda model: make_distiller(
        student=model, tutors=(), trades=TRADES, weight_decay=0.2
    ),
}


@pytest.mark.parametrize("activation", [None, "softmax"])
@pytest.mark.parametrize("trainer", TRAINERS)
def test_a_step_goes_down_the_models_own_losses_too(trainer, activation):
    kernels, logs = {}, {}
    for penalized in (False, True):
        model = student(penalized, activation)
        kernel = model.get_weights()[-2]
        made = TRAINERS[trainer](model)
        made.compile(keras.optimizers.SGD(RATE), run_eagerly=True)
        logs[penalized] = made.train_on_batch(IMAGES, LABELS, return_dict=True)
        kernels[penalized] = model.get_weights()[-2]
    # of KERNEL |W|^2; the factor is the model's only other penalized weight
    expected = -RATE * 2 * KERNEL * kernel
    np.testing.assert_allclose(kernels[True] - kernels[False], expected, atol=2e-5)
    factor = model.get_weights()[0]
    np.testing.assert_allclose(factor, 1 - RATE * ADDED * FLAT.mean(axis=0), atol=2e-5)
    assert logs[True] == pytest.approx(logs[False], abs=1e-4)  # losses are reported without


def test_a_search_goes_down_them_too():
    kernels = []
    for rate in (0.0, KERNEL):
        search = make_search(compiling={"run_eagerly": True}, optimizer=keras.optimizers.SGD(RATE))
        kernel = search.supernet.get_layer("stem").kernel
        kernel.regularizer = keras.regularizers.L2(rate)
        before = kernel.numpy()
        search.train_on_batch(IMAGES, LABELS)
        kernels.append(kernel.numpy())
    np.testing.assert_allclose(kernels[1] - kernels[0], -RATE * 2 * KERNEL * before, atol=1e-5)
