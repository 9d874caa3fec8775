"""Projected gradient ascent inside a training step."""

import numpy as np
import pytest
import tensorflow as tf
from classifiers import CLASSES, images_of, linear_classifier
from numpy_attacks import numpy_pgd, start_of

from rnascl_keras.attacks.ascent import ascend

IMAGES = images_of()


@pytest.mark.parametrize("jit_compile", [False, True])
def test_ascend_compiles_and_agrees_with_numpy(jit_compile):
    model = linear_classifier()
    labels = np.arange(12) % CLASSES

    def objective(x):
        logits = tf.reshape(x, (12, -1)) @ model.weight + model.bias
        return tf.nn.sparse_softmax_cross_entropy_with_logits(labels, logits)

    def run(start, images):
        return ascend(objective, start, images, epsilon=0.2, step_size=0.05, steps=20)

    start = tf.constant(start_of(IMAGES, 0.2))
    found = tf.function(run, jit_compile=jit_compile)(start, tf.constant(IMAGES))
    np.testing.assert_allclose(found, numpy_pgd(model, IMAGES, labels, 0.2), rtol=0, atol=1e-12)


def test_no_gradient_flows_through_the_ascent():
    images = tf.fill((1, 2, 2, 1), 0.5)
    with tf.GradientTape() as tape:
        tape.watch(images)
        found = ascend(
            lambda x: tf.reduce_sum(x**2, (1, 2, 3)),
            images,
            images,
            epsilon=0.1,
            step_size=0.1,
            steps=2,
        )
    assert tape.gradient(found, images) is None
