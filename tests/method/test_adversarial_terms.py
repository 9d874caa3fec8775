"""Weights by the teacher's entropy recomputed, and what they do to a loss."""

import keras
import numpy as np
import pytest
from scipy.special import log_softmax
from tiny_models import make_distiller, make_teacher, tiny_batch

from rnascl_keras.method.adversarial_terms import entropy_weights
from rnascl_keras.method.robust_distillation import adaad

IMAGES, LABELS = tiny_batch()
INNER = {"epsilon": 0.2, "step_size": 0.05, "steps": 3}


def sharp_teacher():
    """One whose entropy is not nearly the same everywhere."""
    keras.utils.set_random_seed(3)
    teacher = make_teacher()
    dense = teacher.get_layer("logits")
    dense.set_weights([40 * w for w in dense.get_weights()])
    return teacher


def weights_of(logits):
    log_p = log_softmax(np.float64(logits), -1)
    entropy = -np.sum(np.exp(log_p) * log_p, -1)
    return (entropy - entropy.min()) / np.mean(entropy - entropy.min())


def test_the_weights_recomputed():
    logits = np.random.default_rng(0).normal(0, 2, (50, 7)).astype("float32")
    found = np.asarray(entropy_weights(logits))
    np.testing.assert_allclose(found, weights_of(logits), rtol=1e-4, atol=1e-5)
    assert found.mean() == pytest.approx(1, rel=1e-5)
    sure, unsure = [20.0, 0, 0], [1.0, 1, 1]
    assert list(np.asarray(entropy_weights(np.float32([sure, unsure])))) == [0, 2]


@pytest.mark.parametrize("logits", [np.ones((4, 3)), np.tile([300.0, 0, 0], (4, 1)), np.eye(3)[:1]])
def test_where_the_entropy_is_the_same_for_all_they_are_one(logits):
    np.testing.assert_array_equal(entropy_weights(logits.astype("float32")), np.ones(len(logits)))


def test_the_weighted_loss_recomputed():
    def make(**settings):
        robust = adaad(**INNER, **settings)
        eager = {"run_eagerly": True}
        return make_distiller(teacher=sharp_teacher(), robust=robust, gamma_t=0.0, compiling=eager)

    drawn = make(entropy_weighted=True)
    attacked = drawn.attacked(drawn.ask((IMAGES, LABELS))).adversarial
    again = make(entropy_weighted=True)
    teacher = np.float64(again.teacher(attacked))
    p, q = (log_softmax(x, -1) for x in (teacher, again.student(attacked, training=True)))
    divergence = np.sum(np.exp(p) * (p - q), -1)
    expected = np.mean(weights_of(teacher) * divergence)
    found = make(entropy_weighted=True).train_on_batch(IMAGES, LABELS, return_dict=True)
    assert float(found["loss"]) == pytest.approx(expected, rel=1e-3)
    assert abs(expected - divergence.mean()) > 0.02 * expected
    plain = make().train_on_batch(IMAGES, LABELS, return_dict=True)
    assert float(plain["loss"]) == pytest.approx(divergence.mean(), rel=1e-3)
