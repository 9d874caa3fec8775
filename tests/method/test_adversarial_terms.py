"""Weights by the teacher's entropy, and IGDM, recomputed."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from scipy.special import log_softmax
from tiny_models import ONE_BLOCK, dtype_policy, make_distiller, make_teacher, tiny_batch

from rnascl_keras.method.adversarial_terms import IndirectGradients, entropy_weights
from rnascl_keras.method.inner_attacks import StepPGD, on_labels, uniform_start
from rnascl_keras.method.output_losses import KLDistillation
from rnascl_keras.method.robust_distillation import adaad, igdm
from rnascl_keras.method.step import Step
from rnascl_keras.method.teacher import LiveTeacher

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


def kl(p, q):
    p, q = (log_softmax(np.float64(x), -1) for x in (p, q))
    return np.mean(np.sum(np.exp(p) * (p - q), -1))


def make_igdm(**settings):
    robust = igdm(**INNER, **settings)
    eager = {"run_eagerly": True}
    return make_distiller(teacher=sharp_teacher(), robust=robust, gamma_t=0.0, compiling=eager)


def test_igdm_recomputed():
    drawn = make_igdm(alpha=3.0)
    attacked = np.asarray(drawn.attacked(drawn.ask((IMAGES, LABELS))).adversarial)
    change = attacked - IMAGES
    assert 0 < np.abs(change).max() <= 0.2 + 1e-6
    again = make_igdm(alpha=3.0)
    teacher = again.teacher(IMAGES + change) - again.teacher(IMAGES - change)
    plus, minus = (again.student(IMAGES + s * change, training=True) for s in (1, -1))
    expected = kl(teacher, plus - minus)
    assert expected > 0.1
    found = make_igdm(alpha=3.0).train_on_batch(IMAGES, LABELS, return_dict=True)
    assert float(found["indirect_gradients"]) == pytest.approx(expected, rel=1e-3)
    whole = kl(again.teacher(attacked), plus) + 3 * expected
    assert float(found["loss"]) == pytest.approx(whole, rel=1e-3)


def test_igdm_rises_linearly_over_the_epochs_also_where_a_fit_goes_on():
    """With a learning rate of 0 and one draw all else stays the same."""

    class Draws(keras.callbacks.Callback):
        def on_epoch_begin(self, epoch, logs=None):
            self.model.noise.state.assign([1, 2])

    def told(compiling=None, **settings):
        terms, _ = igdm(**INNER)
        # of no step: its images do not change with the student's moving statistics
        robust = terms, StepPGD(on_labels, uniform_start(0.2), 0.2, 0.05, steps=0)
        still = keras.optimizers.SGD(0.0)
        model = make_distiller(
            space=ONE_BLOCK,
            teacher=sharp_teacher(),
            robust=robust,
            optimizer=still,
            compiling=compiling,
        )
        settings |= {"batch_size": len(IMAGES), "shuffle": False, "verbose": 0}
        callbacks = [Draws()]
        if settings.pop("listed", False):
            callbacks = keras.callbacks.CallbackList(
                callbacks, add_history=True, model=model, epochs=settings["epochs"]
            )
        history = model.fit(IMAGES, LABELS, callbacks=callbacks, **settings).history
        return np.asarray(history["indirect_gradients"])

    whole = told(epochs=4)
    np.testing.assert_allclose(whole / whole[-1], [0.25, 0.5, 0.75, 1], rtol=1e-3)
    eager = {"compiling": {"run_eagerly": True}, "epochs": 4}
    np.testing.assert_allclose(told(**eager, initial_epoch=2), whole[2:], rtol=1e-3)
    np.testing.assert_allclose(told(**eager, listed=True), whole, rtol=1e-3)


@pytest.fixture
def double():
    before = keras.config.floatx()
    keras.config.set_floatx("float64")
    with dtype_policy("float64"):
        yield
    keras.config.set_floatx(before)


def test_the_gradient_of_igdm_by_finite_differences(double):
    teacher, student = sharp_teacher(), make_teacher()
    images = tf.constant(np.float64(IMAGES))
    noise = np.random.default_rng(1).choice([-0.1, 0.1], IMAGES.shape)
    term = IndirectGradients(KLDistillation("teacher_student"))
    known = {
        "images": images,
        "labels": LABELS,
        "student": student,
        "noise": None,
        "inference": student,
    }
    known |= {"teacher": LiveTeacher(teacher, "conv", (8, 8)), "teacher_logits": None}
    known |= {"adversarial": images + noise, "epoch_share": 0.5}

    def value():
        logits = student(known["adversarial"], training=True)
        return term.compute(Step(**known, adversarial_logits=logits))

    kernels = [v for v in student.trainable_variables if v.name in ("kernel", "gamma")]
    with tf.GradientTape() as tape:
        loss = value()
    for variable, slope in zip(kernels, tape.gradient(loss, kernels), strict=True):
        before, direction = variable.numpy(), np.sign(slope)
        moved = []
        for sign in (1, -1):
            variable.assign(before + sign * 1e-6 * direction)
            moved.append(float(value()))
        variable.assign(before)
        difference = (moved[0] - moved[1]) / 2e-6
        assert difference == pytest.approx(float(np.sum(slope * direction)), rel=1e-4)
        assert difference > 1e-4
