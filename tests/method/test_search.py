"""One step of the search, taken apart: eq. 2, the 80/20 split, who moves whom."""

import functools

import keras
import numpy as np
import pytest
import tensorflow as tf
from scipy.special import log_softmax
from tiny_models import (
    CLASSES,
    IMAGE,
    ONE_BLOCK,
    TINY,
    make_search,
    make_teacher,
    same,
    sgd,
    tiny_batch,
    values,
)

from rnascl_keras.errors import UserError
from rnascl_keras.method import cost
from rnascl_keras.method.attention import unit_maps
from rnascl_keras.method.search import CrossLayerSearch
from rnascl_keras.method.supernet import Supernet

IMAGES, LABELS = tiny_batch()


def one_step(images=IMAGES, labels=LABELS, **settings):
    search = make_search(space=ONE_BLOCK, **settings, compiling={"run_eagerly": True})
    search.train_on_batch(images, labels)
    return search


@functools.cache
def default_step():
    return one_step()


def state(search):
    """Return weights, Gumbel variables, and the state of each one's optimizer."""
    return (
        values(search.weight_variables),
        values(search.architecture_variables),
        values(search.optimizer.variables),
        values(search.architecture_optimizer.variables),
    )


def parts_of(search, images=IMAGES, labels=LABELS):
    logits, maps = search._teacher.answers(images)
    return search.loss_parts(tf.constant(images), tf.constant(labels), logits, maps)


def log_p(logits):
    return log_softmax(np.float64(logits), -1)


def kl(p_logits, q_logits):
    return np.mean(np.sum(np.exp(log_p(p_logits)) * (log_p(p_logits) - log_p(q_logits)), -1))


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"gamma_s": 5.0, "combine": "add", "alpha": 2.0, "kl": "teacher_student"},
    ],
)
def test_eq_2_recomputed(settings):
    search = make_search(**settings)
    rng = np.random.default_rng(0)
    for choice in search.gumbel_choices:  # so far apart that the noise does not matter
        options = choice.shape[-1]
        chosen = rng.integers(0, options, choice.shape[:-1])
        choice.logits.assign(1e4 * np.eye(options)[chosen])
    found = {name: float(value) for name, value in parts_of(search).items()}

    logits = np.asarray(search.supernet(IMAGES, training=True))
    teacher_logits = np.asarray(search.teacher(IMAGES))
    cross_entropy = -log_p(logits)[np.arange(20), LABELS].mean()
    divergence = kl(logits, teacher_logits)
    if "kl" in settings:
        divergence = kl(teacher_logits, logits)
    student = np.float64(unit_maps(search._student(IMAGES, training=True)[1], search.map_size))
    teacher = np.float64(search._teacher.answers(IMAGES)[1])
    own = np.argmax(search.tutor_choice.logits, -1)
    n_s, n_t = search.tutor_choice.shape
    distances = np.linalg.norm(student - teacher[:, own], axis=-1)
    attention = distances.mean(0).sum() / (n_s * n_t)
    flat = [c.widths[int(np.argmax(c.logits))] for c in search.supernet.choices]
    macs = cost.count_macs(TINY, (flat[:2], flat[2:]), IMAGE, CLASSES)
    if "combine" in settings:
        n_f = 2.0 * macs / cost.largest_macs(TINY, IMAGE, CLASSES)
        loss = cross_entropy + divergence + 5 * attention + n_f
    else:
        n_f = 0.2 * np.log(macs) ** 0.6
        loss = (cross_entropy + divergence + attention) * n_f
    expected = {
        "cross_entropy": cross_entropy,
        "kl": divergence,
        "attention": attention,
        "n_f": n_f,
        "expected_macs": macs,
        "accuracy": np.mean(logits.argmax(-1) == LABELS),
        "loss": loss,
    }
    assert found == pytest.approx(expected, rel=2e-5)
    assert attention > 0 and divergence > 0


def test_the_architecture_step_moves_no_weight_and_the_weight_step_no_choice():
    still = keras.optimizers.SGD(0.0)
    moving = state(default_step())
    start = state(make_search(space=ONE_BLOCK))
    weights_only = state(one_step(architecture_optimizer=still))
    choices_only = state(one_step(optimizer=sgd(0.0)))
    # the architecture step changes neither weights nor their optimizer
    assert same(weights_only[0], moving[0]) and same(weights_only[2], moving[2])
    assert not same(moving[0], start[0])
    assert all(not np.array_equal(a, b) for a, b in zip(moving[1], start[1], strict=True))
    # the weight step changes no choice, the architecture step no weight
    assert same(weights_only[1], start[1])
    assert same(choices_only[0], start[0])
    assert not same(choices_only[1], start[1])


def test_both_optimizers_hold_their_own_variables_only():
    search = default_step()
    weights, choices = search.weight_variables, search.architecture_variables
    ids = {id(v) for v in weights}
    assert not ids & {id(v) for v in choices}
    assert len(weights) + len(choices) == len(search.trainable_variables)
    assert int(search.optimizer.iterations) == int(search.architecture_optimizer.iterations) == 1
    assert len(search.optimizer.variables) == 2 + len(weights)  # iterations, rate, momentum
    assert len(search.architecture_optimizer.variables) == 2 + 2 * len(choices)


def test_the_first_80_percent_move_the_weights_and_the_last_20_the_choices():
    def resting(images):
        """Weights rest, so that they hide nothing; Adam's moments hold the gradients."""
        return state(one_step(images, optimizer=keras.optimizers.Adam(0.0)))

    base = resting(IMAGES)
    for image in (0, 15, 16, 19):  # both sides of the border
        changed = IMAGES.copy()
        changed[image] = 1 - changed[image]
        moved = resting(changed)
        assert same(base[2], moved[2]) == (image >= 16)
        assert same(base[3], moved[3]) == (image < 16)


def test_weight_decay_is_coupled_and_reaches_kernels_only():
    start = values(make_search(space=ONE_BLOCK).weight_variables)
    ends = [
        values(one_step(weight_decay=rate, optimizer=keras.optimizers.SGD(1.0)).weight_variables)
        for rate in (0.0, 0.05)
    ]
    for before, without, decayed in zip(start, *ends, strict=True):
        expected = 0.05 * before if before.ndim > 1 else 0 * before
        np.testing.assert_allclose(without - decayed, expected, atol=2e-5)


def test_the_teacher_never_moves():
    search = default_step()
    keras.utils.set_random_seed(1)  # as `make_search` made it
    assert same(values(search.teacher.variables), values(make_teacher().variables))
    assert not {id(v) for v in search.variables} & {id(v) for v in search.teacher.variables}


def test_moving_statistics_move_in_both_steps():
    """The second step runs in training mode: momentum 0.9 is applied twice."""
    search = default_step()
    resting = make_search(space=ONE_BLOCK)
    kernel = resting.supernet.get_layer("stem").kernel
    convolved = tf.nn.conv2d(IMAGES, kernel.value, 1, "SAME")
    after_one = 0.1 * np.mean(convolved[:16], (0, 1, 2))
    moved = search.supernet.get_layer("stem").kernel.value
    second = np.mean(tf.nn.conv2d(IMAGES[16:], moved, 1, "SAME"), (0, 1, 2))
    np.testing.assert_allclose(
        search.supernet.get_layer("stem_bn").moving_mean, 0.9 * after_one + 0.1 * second, atol=1e-6
    )


def test_the_default_architecture_optimizer_moves_tutors_by_gradients_of_1e_6():
    search = make_search()
    gradients = [tf.fill(v.shape, 1e-6) for v in search.architecture_variables]
    for _ in range(3):
        search.architecture_optimizer.apply(gradients, search.architecture_variables)
    for variable in search.architecture_variables:
        np.testing.assert_allclose(variable, -0.03, rtol=1e-3)
    # and so it does in a real step: Adam's first step has the length of its rate
    logits = np.abs(default_step().tutor_choice.logits)
    np.testing.assert_allclose(logits, 0.01, rtol=1e-2)


def test_equal_seeds_of_supernet_and_search_do_not_make_equal_noise():
    search = make_search(supernet=Supernet(TINY, IMAGE, CLASSES, seed=4), seed=4)
    tutors = np.asarray(search.tutor_choice._draw_noise()).ravel()
    drawn = [np.asarray(c._draw_noise()).ravel() for c in search.supernet.choices]
    for noise in drawn:
        assert not np.any(np.isin(noise, tutors))
    assert len({float(noise[0]) for noise in drawn}) == 4


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        (np.eye(CLASSES, dtype="float32")[LABELS], "one-hot labels with np.argmax"),
        (np.eye(CLASSES, dtype="int64")[LABELS], "one-hot labels with np.argmax"),
        (LABELS.astype("float32"), "integer class indices.*got float32"),
        (None, "images, labels"),
    ],
)
def test_labels_that_are_no_class_indices_are_told(labels, message):
    with pytest.raises(UserError, match=message):
        make_search().fit(IMAGES, labels, batch_size=10, verbose=0)


def test_labels_in_a_column_are_class_indices():
    flat, column = default_step(), one_step(labels=LABELS[:, None])
    assert same(values(flat.variables), values(column.variables))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: make_search(combine="multiple"), "combine 'multiple' is.*Did you mean 'multiply'"),
        (lambda: make_search(kl="student"), "kl 'student' is"),
        (lambda: make_search(architecture_fraction=1.0), "architecture_fraction must lie"),
        (lambda: make_search(teacher=make_teacher(classes=5)), "5 classes"),
        (lambda: make_search(supernet=Supernet(TINY, (9, 9, 1), 3)), "images of shape"),
        (lambda: CrossLayerSearch(make_teacher(), make_teacher()), "must be a Supernet"),
        (lambda: make_search(teacher_taps=["conv4"]), "no layer 'conv4'.*Did you mean 'conv"),
    ],
)
def test_what_does_not_fit_is_told(make, message):
    with pytest.raises(UserError, match=message):
        make()
