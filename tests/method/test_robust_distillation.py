"""ARD, RSLAD, AdaAD, N-FGSM, noisy images and uniform tutors recomputed."""

import dataclasses

import keras
import numpy as np
import pytest
import tensorflow as tf
from cached_teacher import build, opened, ten_class_teacher
from scipy.special import log_softmax
from test_distill import cross_entropy
from tiny_models import (
    CLASSES,
    IMAGE,
    ONE_BLOCK,
    STUDENTS,
    TUTORS,
    make_distiller,
    make_teacher,
    sgd,
    tiny_batch,
)

from rnascl_keras.errors import UserError
from rnascl_keras.method.architecture import Architecture, Tutor
from rnascl_keras.method.attention_terms import UniformAttention
from rnascl_keras.method.distiller import Distiller, needs_of_teacher
from rnascl_keras.method.inner_attacks import GaussianNoise, on_labels
from rnascl_keras.method.robust_distillation import (
    adaad,
    adversarial_training,
    ard,
    make_robust,
    rslad,
    rslad_n_fgsm,
)
from rnascl_keras.method.trades import Trades

IMAGES, LABELS = tiny_batch()
INNER = {"epsilon": 0.2, "step_size": 0.05, "steps": 5}
EAGER = {"run_eagerly": True}


def kl(p, q, softening=1.0):
    p, q = (log_softmax(np.float64(x) / softening, -1) for x in (p, q))
    return softening**2 * np.mean(np.sum(np.exp(p) * (p - q), -1))


def make(robust, **settings):
    """A compiled trainer of the tiny student; equal settings give equal ones."""
    keras.utils.set_random_seed(2)
    student = Architecture(ONE_BLOCK, *STUDENTS[ONE_BLOCK], "", IMAGE, CLASSES).build()
    trainer = Distiller(make_teacher(), student, *robust(**settings), seed=4)
    trainer.compile(sgd(), **EAGER)
    return trainer


def adversarial_of(trainer):
    """The adversarial images of the first step, by an equal trainer."""
    return trainer.attacked(trainer.ask((IMAGES, LABELS))).adversarial


@pytest.mark.parametrize("alpha", [1.0, 0.4])
def test_ard_recomputed(alpha):
    settings = {**INNER, "adversarial_share": alpha, "softening": 30.0}
    attacked = adversarial_of(make(ard, **settings))
    again = make(ard, **settings)
    clean, robust = (again.student(x, training=True) for x in (IMAGES, attacked))
    expected = alpha * kl(again.teacher(IMAGES), robust, 30.0)
    expected += (1 - alpha) * cross_entropy(clean)
    found = make(ard, **settings).train_on_batch(IMAGES, LABELS, return_dict=True)
    # 30^2 times a difference of logarithms near log(1 / 10) in float32
    rounding = float(30**2 * np.finfo(np.float32).eps)
    assert float(found["loss"]) == pytest.approx(float(expected), rel=5e-4, abs=rounding)
    assert expected > 0.01


def test_rslad_recomputed():
    attacked = adversarial_of(make(rslad, **INNER))
    again = make(rslad, **INNER)
    clean, robust = (again.student(x, training=True) for x in (IMAGES, attacked))
    teacher_logits = again.teacher(IMAGES)
    expected = kl(teacher_logits, clean) / 6 + 5 * kl(teacher_logits, robust) / 6
    found = make(rslad, **INNER).train_on_batch(IMAGES, LABELS, return_dict=True)
    assert float(found["loss"]) == pytest.approx(expected, rel=1e-4)


@pytest.mark.parametrize("softening", [1.0, 30.0])
def test_the_published_scale_is_the_mean_over_images_and_classes(softening):
    """Element by element, as PyTorch's KLDivLoss of both scripts averages."""
    trainer = make(ard, **INNER, adversarial_share=0.4, softening=softening, scale="published")
    attacked = adversarial_of(trainer)
    clean, robust = (np.float64(trainer.student(x, training=True)) for x in (IMAGES, attacked))
    p, q = (log_softmax(np.float64(x) / softening, -1) for x in (trainer.teacher(IMAGES), robust))
    expected = 0.4 * softening**2 * np.mean(np.exp(p) * (p - q)) + 0.6 * cross_entropy(clean)
    again = make(ard, **INNER, adversarial_share=0.4, softening=softening, scale="published")
    found = again.train_on_batch(IMAGES, LABELS, return_dict=True)
    assert float(found["loss"]) == pytest.approx(expected, rel=5e-4)


def test_at_the_published_scale_rslad_is_one_by_the_classes_of_its_sum():
    found = {
        scale: make(rslad, **INNER, scale=scale).train_on_batch(IMAGES, LABELS, return_dict=True)
        for scale in ("sum", "published")
    }
    for name in ("loss", "kl", "robust_kl"):
        expected = float(found["sum"][name]) / CLASSES
        assert float(found["published"][name]) == pytest.approx(expected, rel=1e-4)


@pytest.mark.parametrize(("share", "scale"), [(1.0, "published"), (0.3, "sum")])
def test_adaad_recomputed(share, scale):
    """Both are asked about the adversarial images; the published scale is the mean."""
    settings = {**INNER, "adversarial_share": share, "scale": scale}
    attacked = adversarial_of(make(adaad, **settings))
    again = make(adaad, **settings)
    clean, robust = (again.student(x, training=True) for x in (IMAGES, attacked))
    expected = share * kl(again.teacher(attacked), robust)
    expected += (1 - share) * kl(again.teacher(IMAGES), clean)
    expected /= 1 if scale == "sum" else CLASSES
    found = make(adaad, **settings).train_on_batch(IMAGES, LABELS, return_dict=True)
    assert float(found["loss"]) == pytest.approx(expected, rel=1e-4)
    other = kl(again.teacher(IMAGES), robust) / (1 if scale == "sum" else CLASSES)
    assert abs(float(found["adaptive_kl"]) - other) > 1e-3 * other


def test_the_gradient_of_adaad_s_attack_goes_through_the_teacher_too():
    """Its first step by finite differences, of some pixels."""
    trainer = make(adaad, **INNER)
    for _ in range(20):  # moving statistics that fit the images
        trainer.student(IMAGES, training=True)
    gray = tf.constant(0.5 + 0.1 * (IMAGES - 0.5))
    step = trainer.ask((gray, LABELS))
    attack = dataclasses.replace(trainer.attack, steps=1, start=lambda images, noise: images)
    moved = np.sign(np.asarray(attack.perturb(step)) - gray)

    def raised(images):
        teacher, student = np.float64(trainer.teacher(images)), np.float64(trainer.student(images))
        p, q = log_softmax(teacher, -1), log_softmax(student, -1)
        return np.sum(np.exp(p) * (p - q), -1)  # (batch,)

    differences = []
    for row, column in [(0, 0), (3, 4), (7, 7), (2, 6), (5, 1)]:
        change = np.zeros(gray.shape, "float32")
        change[:, row, column] = 0.02
        difference = raised(gray + change) - raised(gray - change)
        differences.append((difference, moved[:, row, column, 0]))
    slopes, signs = (np.concatenate(x) for x in zip(*differences, strict=True))
    clear = np.abs(slopes) > np.quantile(np.abs(slopes), 0.3)  # float32 rounds the others
    assert np.mean(np.sign(slopes[clear]) == signs[clear]) > 0.95


def test_adaad_refuses_a_cache(tmp_path):
    build(tmp_path)
    message = "cache does not hold the teacher's answers on other.*'adaptive_kl' needs"
    with pytest.raises(UserError, match=message):
        Distiller(opened(tmp_path), ten_class_teacher(), *adaad(**INNER))


@pytest.mark.parametrize("robust", [ard, rslad, adaad])
def test_an_unknown_scale_is_told(robust):
    with pytest.raises(UserError, match="Did you mean 'published'"):
        robust(**INNER, scale="publishd")


@pytest.mark.parametrize("robust", [ard, rslad, adaad])
def test_their_images_stay_in_the_ball_and_raise_what_they_should(robust):
    trainer = make(robust, **INNER)
    for _ in range(20):  # moving statistics that fit the images
        trainer.student(IMAGES, training=True)
    attacked = np.asarray(adversarial_of(trainer))
    assert np.abs(attacked - IMAGES).max() <= 0.2 + 1e-6
    assert attacked.min() >= 0 and attacked.max() <= 1
    teacher_logits = trainer.teacher(IMAGES)

    def raised(images):
        logits = trainer.student(images)
        if robust is adaad:
            return kl(trainer.teacher(images), logits)
        return cross_entropy(logits) if robust is ard else kl(teacher_logits, logits)

    noise = np.random.default_rng(0).choice([-0.2, 0.2], IMAGES.shape).astype("float32")
    random = np.clip(IMAGES + noise, 0, 1)
    assert raised(attacked) > raised(IMAGES) + 2 * abs(raised(random) - raised(IMAGES))


def test_n_fgsm_takes_one_step_from_its_wide_start_and_lowers_what_it_raised():
    """The loss on its images, and the step by finite differences from where it began."""
    trainer = make(rslad_n_fgsm, epsilon=0.05)
    for _ in range(20):  # moving statistics that fit the images
        trainer.student(IMAGES, training=True)
    gray = np.float32(0.5 + 0 * IMAGES)
    drawn = tf.identity(trainer.attack.start(gray, keras.random.SeedGenerator(4)))
    assert 0.09 < np.abs(drawn - gray).max() <= 0.1
    attacked = np.asarray(trainer.attacked(trainer.ask((gray, LABELS))).adversarial)
    step = attacked - drawn
    np.testing.assert_allclose(np.abs(step), 0.05, atol=1e-6)  # of the radius, nothing clipped
    assert np.abs(attacked - gray).max() > 0.1
    soft = trainer.teacher(gray)
    gain = kl(soft, trainer.student(drawn + 0.02 * step)) - kl(soft, trainer.student(drawn))
    assert gain > 0
    (_, attack), inner = make_robust("rslad_n_fgsm", **INNER), INNER["epsilon"]
    assert (attack.steps, attack.step_size, attack.epsilon) == (1, inner, 3 * inner)


def test_the_terms_of_rslad_on_n_fgsm_s_images_recomputed():
    attacked = adversarial_of(make(rslad_n_fgsm, epsilon=0.1))
    again = make(rslad_n_fgsm, epsilon=0.1)
    clean, robust = (again.student(x, training=True) for x in (IMAGES, attacked))
    soft = again.teacher(IMAGES)
    found = make(rslad_n_fgsm, epsilon=0.1).train_on_batch(IMAGES, LABELS, return_dict=True)
    assert float(found["loss"]) == pytest.approx(
        kl(soft, clean) / 6 + 5 * kl(soft, robust) / 6, rel=1e-4
    )


@pytest.mark.parametrize("share", [1.0, 0.25])
def test_adversarial_training_is_on_the_labels_of_images_that_one_step_makes(share):
    inner = {"epsilon": 0.1, "adversarial_share": share}
    attacked = adversarial_of(make(adversarial_training, **inner))
    again, trained = make(adversarial_training, **inner), make(adversarial_training, **inner)

    def error(logits):
        logits = np.asarray(logits, "float64")
        return np.mean(np.log(np.exp(logits).sum(1)) - logits[range(len(LABELS)), LABELS])

    clean = error(again.student(IMAGES, training=True)) if share < 1 else 0
    robust = error(again.student(attacked, training=True))
    found = trained.train_on_batch(IMAGES, LABELS, return_dict=True)
    assert float(found["loss"]) == pytest.approx(share * robust + (1 - share) * clean, rel=1e-4)
    assert trained.attack.objective is on_labels
    assert not needs_of_teacher(trained.terms, trained.attack)


def test_a_student_that_sees_adversarial_images_alone_is_not_asked_about_others():
    """Its loss and moving statistics are those of one pass over the adversarial images."""
    alone = {"epsilon": 0.1, "adversarial_share": 1.0}
    attacked = adversarial_of(make(rslad_n_fgsm, **alone))
    again, trained = make(rslad_n_fgsm, **alone), make(rslad_n_fgsm, **alone)
    soft = again.teacher(IMAGES)
    robust = again.student(attacked, training=True)
    found = trained.train_on_batch(IMAGES, LABELS, return_dict=True)
    assert set(found) == {"loss", "robust_kl", "accuracy"}
    assert float(found["loss"]) == pytest.approx(kl(soft, robust), rel=1e-4)
    assert float(found["accuracy"]) == pytest.approx(np.mean(np.argmax(robust, -1) == LABELS))
    pairs = zip(again.student.weights, trained.student.weights, strict=True)
    moving = [(ours, theirs) for ours, theirs in pairs if "moving" in ours.path]
    assert moving
    for ours, theirs in moving:
        np.testing.assert_allclose(ours, theirs, rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize("robust", [ard, rslad, rslad_n_fgsm, adversarial_training, adaad])
def test_a_student_that_is_to_see_no_adversarial_image_sees_none(robust):
    """Its moving statistics, too, are those of one pass over the images themselves."""
    inner = INNER if robust in (ard, rslad, adaad) else {"epsilon": 0.1}
    again, trained = (make(robust, **inner, adversarial_share=0.0) for _ in range(2))
    again.student(IMAGES, training=True)
    (term,) = trained.terms
    assert (term.weight, term.clean) == (1, True)
    trained.train_on_batch(IMAGES, LABELS)
    for ours, theirs in zip(again.student.weights, trained.student.weights, strict=True):
        if "moving" in ours.path:
            np.testing.assert_allclose(ours, theirs, rtol=1e-5, atol=1e-7)


def test_a_robust_method_takes_the_place_of_eq_3_s_terms_on_logits():
    """The attention stays, and its tutors."""
    robust = make_robust("rslad", **INNER)
    distiller = make_distiller(robust=robust, gamma_t=2.0)
    assert [term.name for term in distiller.terms] == ["kl", "robust_kl", "attention"]
    parts = distiller.train_on_batch(IMAGES, LABELS, return_dict=True)
    expected = parts["kl"] / 6 + 5 * parts["robust_kl"] / 6 + 2 * parts["attention"]
    assert float(parts["loss"]) == pytest.approx(float(expected), rel=1e-5)
    assert float(parts["attention"]) > 0
    with pytest.raises(UserError, match="trades and robust both replace"):
        make_distiller(robust=robust, trades=Trades())
    assert make_robust(None, **INNER) is None
    with pytest.raises(UserError, match="Did you mean 'rslad'"):
        make_robust("rsald", **INNER)


def test_only_the_student_sees_the_noise():
    """The teacher's term of the first step, by an equal trainer's noise."""
    settings = {"shown": GaussianNoise(0.1), "kl": "teacher_student", "tutors": ()}
    drawn = make_distiller(**settings, compiling=EAGER)
    noisy = np.asarray(drawn.shown.perturb(drawn.ask((IMAGES, LABELS))))
    assert 0.05 < np.std(noisy - IMAGES) < 0.1  # clipped
    assert noisy.min() == 0 and noisy.max() == 1
    again = make_distiller(**settings, compiling=EAGER)
    expected = kl(again.teacher(IMAGES), again.student(noisy, training=True))
    trainer = make_distiller(**settings, compiling=EAGER)
    found = trainer.train_on_batch(IMAGES, LABELS, return_dict=True)
    assert float(found["kl"]) == pytest.approx(expected, rel=1e-4)


def test_weights_of_eq_3_weigh_its_terms():
    weights = {"classification_weight": 0.25, "kl_weight": 3.0, "gamma_t": 2.0}
    parts = make_distiller(**weights).train_on_batch(IMAGES, LABELS, return_dict=True)
    expected = 0.25 * parts["cross_entropy"] + 3 * parts["kl"] + 2 * parts["attention"]
    assert float(parts["loss"]) == pytest.approx(float(expected), rel=1e-5)


def test_uniform_tutors_are_the_mean_over_all_layers():
    trainer = make_distiller(attention=UniformAttention, compiling=EAGER)
    layers = ("conv1", "conv2", "conv3")
    each = []
    for layer in layers:
        tutors = [Tutor(tutor.student_layer, layer) for tutor in TUTORS]
        distiller = make_distiller(tutors=tutors, compiling=EAGER)
        parts = distiller.train_on_batch(IMAGES, LABELS, return_dict=True)
        each.append(float(parts["attention"]))
    found = trainer.train_on_batch(IMAGES, LABELS, return_dict=True)
    assert float(found["attention"]) == pytest.approx(np.mean(each), rel=1e-5)
