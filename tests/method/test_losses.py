"""Every loss against NumPy float64."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from scipy.special import log_softmax

from rnascl_keras.errors import UserError
from rnascl_keras.method import losses

rng = np.random.default_rng(0)
STUDENT, TEACHER, ADVERSARIAL = (rng.normal(0, 3, size=(6, 5)).astype("float32") for _ in range(3))
LABELS = rng.integers(0, 5, 6)


def cross_entropy(labels, logits):
    return -log_softmax(np.float64(logits), -1)[np.arange(len(labels)), labels]


def kl(p_logits, q_logits, softening=1.0):
    log_p, log_q = (log_softmax(np.float64(x) / softening, -1) for x in (p_logits, q_logits))
    return softening**2 * np.sum(np.exp(log_p) * (log_p - log_q), -1)


@pytest.mark.parametrize("dtype", ["int32", "int64", "uint8"])
def test_cross_entropy(dtype):
    found = losses.cross_entropy(tf.constant(LABELS.astype(dtype)), tf.constant(STUDENT))
    np.testing.assert_allclose(found, cross_entropy(LABELS, STUDENT), rtol=1e-5)


@pytest.mark.parametrize("softening", [1.0, 4.0])
def test_both_directions_of_kl(softening):
    there = losses.distillation_kl(STUDENT, TEACHER, "student_teacher", softening)
    back = losses.distillation_kl(STUDENT, TEACHER, "teacher_student", softening)
    np.testing.assert_allclose(there, kl(STUDENT, TEACHER, softening), rtol=1e-5)
    np.testing.assert_allclose(back, kl(TEACHER, STUDENT, softening), rtol=1e-5)
    assert not np.allclose(there, back, rtol=0.1)


def test_the_default_is_the_papers_direction():
    np.testing.assert_allclose(
        losses.distillation_kl(STUDENT, TEACHER), kl(STUDENT, TEACHER), rtol=1e-5
    )


@pytest.mark.parametrize("p_is_student", [True, False])
def test_the_gradient_of_kl(p_is_student):
    student = tf.Variable(STUDENT)
    with tf.GradientTape() as tape:
        pair = (student, TEACHER) if p_is_student else (TEACHER, student)
        total = tf.reduce_sum(losses.kl_divergence(*pair))
    p, q = np.exp(log_softmax(np.float64(STUDENT), -1)), np.exp(log_softmax(TEACHER, -1))
    if p_is_student:
        ratio = np.log(p / q)
        exact = p * (ratio - np.sum(p * ratio, -1, keepdims=True))
    else:
        exact = p - q
    np.testing.assert_allclose(tape.gradient(total, student), exact, atol=1e-5)


@pytest.mark.parametrize("dtype", ["float32", "float16"])
def test_extreme_logits_give_no_nan(dtype):
    logits = tf.Variable(np.array([[1e4, -1e4, 0], [-3e4, 3e4, 3e4]]).astype(dtype))
    with tf.GradientTape() as tape:
        parts = [
            losses.cross_entropy(tf.constant([1, 0]), logits),
            losses.kl_divergence(logits, tf.zeros_like(logits)),
            losses.kl_divergence(tf.zeros_like(logits), logits),
        ]
        total = tf.reduce_sum(sum(parts))
    assert all(part.dtype == "float32" for part in parts)
    assert np.isfinite(float(total))
    assert np.all(np.isfinite(tape.gradient(total, logits)))


def test_half_precision_logits_are_reckoned_in_float32():
    half = tf.constant(STUDENT, tf.float16)
    exact = cross_entropy(LABELS, np.float64(half))
    np.testing.assert_allclose(losses.cross_entropy(LABELS, half), exact, rtol=1e-5)


def test_eq_2_multiplied_and_added():
    parts = {"gamma_s": 3.0, "n_f": tf.constant(0.25)}
    multiplied = losses.search_loss(2.0, 0.5, 0.1, **parts)
    added = losses.search_loss(2.0, 0.5, 0.1, combine="add", **parts)
    assert float(multiplied) == pytest.approx((2.0 + 0.5 + 3.0 * 0.1) * 0.25, rel=1e-6)
    assert float(added) == pytest.approx(2.0 + 0.5 + 3.0 * 0.1 + 0.25, rel=1e-6)


@pytest.mark.parametrize("beta", [6.0, 1.0])
def test_trades(beta):
    found = losses.trades_loss(LABELS, STUDENT, ADVERSARIAL, beta)
    exact = cross_entropy(LABELS, STUDENT) + beta * kl(STUDENT, ADVERSARIAL)
    np.testing.assert_allclose(found, exact, rtol=1e-5)


def test_trades_gradient_reaches_both_passes():
    clean, adversarial = tf.Variable(STUDENT), tf.Variable(ADVERSARIAL)
    with tf.GradientTape() as tape:
        total = tf.reduce_sum(losses.trades_loss(LABELS, clean, adversarial))
    by_clean, by_adversarial = tape.gradient(total, [clean, adversarial])
    p, q = (np.exp(log_softmax(np.float64(x), -1)) for x in (STUDENT, ADVERSARIAL))
    ratio = np.log(p / q)
    exact = p - np.eye(5)[LABELS] + 6 * p * (ratio - np.sum(p * ratio, -1, keepdims=True))
    np.testing.assert_allclose(by_clean, exact, atol=3e-5)
    np.testing.assert_allclose(by_adversarial, 6 * (q - p), atol=3e-5)


def network_with_every_kind_of_kernel():
    layers = keras.layers
    return keras.Sequential(
        [
            keras.Input((6, 6, 3)),
            layers.Conv2D(4, 3),
            layers.BatchNormalization(),
            layers.DepthwiseConv2D(3),
            layers.SeparableConv2D(5, 1),
            layers.Flatten(),
            layers.Dense(2),
        ]
    )


def test_l2_penalty_and_its_gradient():
    model = network_with_every_kind_of_kernel()
    model.set_weights([np.float32(rng.normal(size=w.shape)) for w in model.get_weights()])
    variables = model.trainable_variables
    with tf.GradientTape() as tape:
        penalty = losses.l2_penalty(variables, 0.02)
    kernels = [np.asarray(v) for v in variables if v.shape and len(v.shape) > 1]
    assert len(kernels) == 5  # convolution, depthwise, the separable one's two, dense
    exact = 0.01 * sum(np.sum(np.float64(k) ** 2) for k in kernels)
    assert float(penalty) == pytest.approx(exact, rel=1e-6)
    for variable, gradient in zip(variables, tape.gradient(penalty, variables), strict=True):
        if len(variable.shape) > 1:
            np.testing.assert_allclose(gradient, 0.02 * np.asarray(variable), rtol=1e-5)
        else:  # neither biases nor scales and offsets decay
            assert gradient is None


def test_an_unknown_direction_is_told():
    with pytest.raises(UserError, match="student_teacher.*Did you mean 'teacher_student'"):
        losses.distillation_kl(STUDENT, TEACHER, "teacher_studnet")


def test_log_odds_and_its_gradient_where_the_model_is_sure():
    labels, logits = np.array([0, 1]), tf.constant([[30.0, -40.0, -50.0], [0.5, 2.0, -1.0]])
    with tf.GradientTape() as tape:
        tape.watch(logits)
        values = losses.log_odds(labels, logits)
    z = logits.numpy().astype(np.float64)
    others = np.array([np.log(np.exp(z[k][np.arange(3) != y]).sum()) for k, y in enumerate(labels)])
    np.testing.assert_allclose(values, others - z[[0, 1], labels], rtol=1e-6)
    gradient = tape.gradient(values, logits).numpy()
    np.testing.assert_allclose(gradient[[0, 1], labels], -1)
    np.testing.assert_allclose(gradient.sum(axis=1), 0, atol=1e-6)
