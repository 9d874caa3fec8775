"""The training phase: eq. 3 and TRADES recomputed, and every way in which `fit` may be called."""

import keras
import numpy as np
import pytest
from scipy.special import log_softmax
from tiny_models import (
    CLASSES,
    IMAGE,
    ONE_BLOCK,
    TUTORS,
    dtype_policy,
    make_distiller,
    make_teacher,
    same,
    tiny_batch,
    values,
)

from rnascl_keras.errors import UserError
from rnascl_keras.method.architecture import Tutor
from rnascl_keras.method.attention import unit_maps
from rnascl_keras.method.trades import Trades

IMAGES, LABELS = tiny_batch()
TRADES = Trades(epsilon=0.2, step_size=0.05, steps=5, start_deviation=0.01)
EAGER = {"run_eagerly": True}


def log_p(logits):
    return log_softmax(np.float64(logits), -1)


def kl(p, q):
    return np.mean(np.sum(np.exp(log_p(p)) * (log_p(p) - log_p(q)), -1))


def cross_entropy(logits):
    return -log_p(logits)[np.arange(len(LABELS)), LABELS].mean()


def attention(distiller):
    """Eq. 1 with one-hot tutors, by a loop."""
    places = {"stem": "stem_relu", "stage1_block2_depthwise": "stage1_block2_depthwise_relu"}
    total = 0.0
    for tutor in TUTORS:
        layer = places.get(tutor.student_layer, "stage2_block1_project_bn")
        student, teacher = distiller.student, distiller.teacher
        ours = keras.Model(student.input, student.get_layer(layer).output)(IMAGES, training=True)
        layer = teacher.get_layer(tutor.teacher_layer.replace("conv", "relu"))
        theirs = keras.Model(teacher.input, layer.output)(IMAGES)
        maps = [np.float64(unit_maps([x], distiller.map_size))[:, 0] for x in (ours, theirs)]
        total += np.linalg.norm(maps[0] - maps[1], axis=-1).mean()
    return total / (len(TUTORS) * 3)  # 1 / (n_s n_t)


@pytest.mark.parametrize(
    "settings", [{}, {"gamma_t": 7.0, "kl": "teacher_student", "weight_decay": 0.3}]
)
def test_eq_3_recomputed(settings):
    distiller = make_distiller(**settings, compiling=EAGER)
    logits = distiller.student(IMAGES, training=True)
    teacher_logits = distiller.teacher(IMAGES)
    divergence = kl(logits, teacher_logits)
    if "kl" in settings:
        divergence = kl(teacher_logits, logits)
    expected = {
        "cross_entropy": cross_entropy(logits),
        "kl": divergence,
        "attention": attention(distiller),
        "accuracy": np.mean(np.argmax(logits, -1) == LABELS),
    }
    expected["loss"] = (
        expected["cross_entropy"]
        + expected["kl"]
        + settings.get("gamma_t", 1.0) * expected["attention"]
    )
    found = distiller.train_on_batch(IMAGES, LABELS, return_dict=True)
    assert {k: float(v) for k, v in found.items()} == pytest.approx(expected, rel=2e-5)
    assert expected["attention"] > 0.01 and divergence > 0.01


def test_without_tutors_it_is_plain_distillation():
    distiller = make_distiller(tutors=(), compiling=EAGER)
    logits = distiller.student(IMAGES, training=True)
    found = distiller.train_on_batch(IMAGES, LABELS, return_dict=True)
    assert found["attention"] == 0
    expected = cross_entropy(logits) + kl(logits, distiller.teacher(IMAGES))
    assert float(found["loss"]) == pytest.approx(expected, rel=1e-5)


def test_the_attention_term_draws_a_student_to_its_tutors():
    histories = []
    for gamma_t in (1e-9, 100.0):  # at 0 it is not there
        distiller = make_distiller(gamma_t=gamma_t, optimizer=keras.optimizers.Adam(0.01))
        history = distiller.fit(IMAGES, LABELS, batch_size=20, epochs=20, verbose=0)
        histories.append(history.history["attention"])
    assert histories[1][-1] < 0.8 * histories[0][-1]
    assert histories[1][-1] < 0.8 * histories[1][0]


def trained(distiller, epochs=3):
    """Train so that the student's decisions depend on the image."""
    distiller.fit(IMAGES, LABELS, batch_size=20, epochs=epochs, verbose=0)
    return distiller


def test_the_teacher_never_moves_and_the_student_does():
    teacher = make_teacher()
    before = values(teacher.variables)
    distiller = make_distiller(space=ONE_BLOCK, teacher=teacher, trades=TRADES)
    start = values(distiller.student.variables)
    trained(distiller, 2)
    assert same(values(teacher.variables), before)
    assert not {id(v) for v in distiller.variables} & {id(v) for v in teacher.variables}
    for variable, old in zip(distiller.student.variables, start, strict=True):
        assert not np.array_equal(variable.numpy(), old), variable.path


def check_fit(distiller, **settings):
    start = values(distiller.weight_variables)
    history = distiller.fit(IMAGES, LABELS, batch_size=10, epochs=3, verbose=0, **settings)
    assert all(np.all(np.isfinite(column)) for column in history.history.values())
    assert all(np.all(np.isfinite(v.numpy())) for v in distiller.variables)
    for variable, old in zip(distiller.weight_variables, start, strict=True):
        assert not np.array_equal(variable.numpy(), old), variable.path
    return history


@pytest.mark.parametrize("policy", ["mixed_bfloat16", "mixed_float16"])
@pytest.mark.parametrize("trades", [None, TRADES], ids=["plain", "trades"])
def test_under_mixed_precision(policy, trades):
    with dtype_policy(policy):
        distiller = make_distiller(space=ONE_BLOCK, trades=trades)
        check_fit(distiller)
    assert distiller.student.get_layer("stem").compute_dtype == policy.removeprefix("mixed_")


def own_student():
    keras.utils.set_random_seed(6)
    return keras.Sequential(
        [
            keras.Input(IMAGE),
            keras.layers.Conv2D(3, 3, name="own"),
            keras.layers.BatchNormalization(),
            keras.layers.Flatten(),
            keras.layers.Dense(CLASSES),
        ]
    )


def test_compiled_by_xla():
    """The same step as without, to float32's rounding; only the start's noise is another."""
    logs = []
    for jit_compile in (False, True):
        distiller = make_distiller(
            student=own_student(),
            tutors=[Tutor("own", "conv2")],
            trades=TRADES,
            compiling={"jit_compile": jit_compile},
        )
        logs.append(distiller.fit(IMAGES, LABELS, batch_size=20, verbose=0).history)
    for name, rtol in {"cross_entropy": 1e-5, "kl": 1e-5, "attention": 1e-5, "trades": 0.1}.items():
        np.testing.assert_allclose(logs[1][name], logs[0][name], rtol=rtol, err_msg=name)
    assert logs[1]["trades"][0] > 1.01 * logs[1]["cross_entropy"][0]


def test_eagerly_with_a_schedule_adamw_and_usual_callbacks(tmp_path):
    schedule = keras.optimizers.schedules.PiecewiseConstantDecay([2], [0.01, 0.001])
    optimizer = keras.optimizers.AdamW(schedule)
    distiller = make_distiller(space=ONE_BLOCK, optimizer=optimizer, compiling=EAGER)
    saved = keras.callbacks.ModelCheckpoint(tmp_path / "{epoch}.weights.h5", save_weights_only=True)
    history = check_fit(distiller, callbacks=[saved], validation_data=(IMAGES, LABELS))
    assert {"val_loss", "val_accuracy"} <= set(history.history)
    assert len(list(tmp_path.glob("*.h5"))) == 3


def test_with_a_learning_rate_scheduler_and_short_batches():
    distiller = make_distiller(space=ONE_BLOCK)
    halve = keras.callbacks.LearningRateScheduler(lambda epoch, rate: rate / 2)
    distiller.fit(IMAGES[:17], LABELS[:17], batch_size=8, epochs=2, verbose=0, callbacks=[halve])
    assert float(distiller.optimizer.learning_rate) == pytest.approx(0.025)


def test_evaluate_gives_clean_accuracy_of_the_student():
    distiller = make_distiller(space=ONE_BLOCK)
    found = distiller.evaluate(IMAGES, LABELS, batch_size=7, verbose=0, return_dict=True)
    logits = distiller.student(IMAGES)
    assert found["accuracy"] == pytest.approx(np.mean(np.argmax(logits, -1) == LABELS))
    assert found["loss"] == pytest.approx(cross_entropy(logits), rel=1e-5)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: make_distiller(kl="teacher"), "kl 'teacher' is"),
        (lambda: make_distiller(teacher=make_teacher(classes=7)), "7 classes"),
        (lambda: make_distiller(tutors=[Tutor("stem", "conv9")]), "tutor 'conv9' is not a tapped"),
        (lambda: make_distiller(tutors=[Tutor("stom", "conv1")]), "Did you mean 'stem"),
        (
            lambda: make_distiller().fit(IMAGES, np.eye(CLASSES)[LABELS], verbose=0),
            "labels must be integer",
        ),
        (
            lambda: make_distiller().fit(IMAGES, LABELS, sample_weight=LABELS, verbose=0),
            "without sample weights",
        ),
    ],
)
def test_what_does_not_fit_is_told(make, message):
    with pytest.raises(UserError, match=message):
        make()


def test_the_student_may_be_any_functional_classifier():
    tutors = [Tutor("own", "conv2")]
    distiller = make_distiller(student=own_student(), tutors=tutors, compiling=EAGER)
    assert float(distiller.train_on_batch(IMAGES, LABELS, return_dict=True)["attention"]) > 0
