"""Input-gradient alignment: its value, its own gradient, and that it is absent by default."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from cached_teacher import build, opened, ten_class_teacher
from scipy.special import log_softmax
from tiny_models import CLASSES, IMAGE, dtype_policy, make_distiller, tiny_batch, values

from rnascl_keras.errors import UserError
from rnascl_keras.method.teacher import LiveTeacher
from rnascl_keras.recipe import load_recipe
from rnascl_keras.settings import Finetune, Train

IMAGES, LABELS = tiny_batch(6)
ALONE = {"classification_weight": 0.0, "kl_weight": 0.0, "gamma_t": 0.0, "weight_decay": 0.0}


def smooth_model(seed, normalised=True):
    """A float64 classifier without kinks, so that differences of it are exact."""
    keras.utils.set_random_seed(seed)
    with dtype_policy("float64"):
        return keras.Sequential(
            [
                keras.Input(IMAGE, dtype="float64"),
                keras.layers.Conv2D(3, 3, activation="softplus", name="conv"),
                *([keras.layers.BatchNormalization()] if normalised else []),
                keras.layers.Flatten(),
                keras.layers.Dense(CLASSES),
            ]
        )


def differences(model, training):
    """The input gradient of all images' cross-entropy by central differences, in float64."""
    forward = tf.function(lambda x: model(x, training=training))
    gradient = np.zeros(IMAGES.shape)
    for place in np.ndindex(IMAGES.shape):
        sides = []
        for step in (1e-4, -1e-4):
            moved = np.float64(IMAGES)
            moved[place] += step
            log_p = log_softmax(forward(moved).numpy(), -1)
            sides.append(-log_p[np.arange(len(LABELS)), LABELS].sum())
        gradient[place] = (sides[0] - sides[1]) / 2e-4
    return gradient


def smooth_distiller(normalised=True, **settings):
    student = smooth_model(2, normalised)
    given = {"tutors": (), "gradient_weight": 3.0, **settings}
    return make_distiller(teacher=smooth_model(1), student=student, **given)


def test_its_value_by_central_differences():
    distiller = smooth_distiller(compiling={"run_eagerly": True})
    apart = differences(distiller.student, True) - differences(distiller.teacher, False)
    expected = np.sqrt((apart**2).sum(axis=(1, 2, 3))).mean()
    found = distiller.train_on_batch(IMAGES, LABELS, return_dict=True)
    assert float(found["gradient_alignment"]) == pytest.approx(expected, rel=1e-5)
    total = found["cross_entropy"] + found["kl"] + 3 * expected
    assert float(found["loss"]) == pytest.approx(float(total), rel=1e-5)
    assert expected > 0.05


@pytest.mark.parametrize(("normalised", "rtol"), [(False, 1e-3), (True, 2e-2)])
def test_its_gradient_reaches_the_weights(normalised, rtol):
    """The derivative along a random direction of the weights, by central differences; batch
    normalisation's own second derivative is not exact."""
    distiller = smooth_distiller(normalised)
    batch = distiller.attacked(distiller.ask((IMAGES, LABELS)))

    def alignment():
        return distiller.loss_parts(batch)["gradient_alignment"]

    variables = distiller.weight_variables
    with tf.GradientTape() as tape:
        loss = alignment()
    gradients = tape.gradient(loss, variables)
    random = np.random.default_rng(0)
    direction = [random.normal(size=v.shape) for v in variables]
    start, sides = values(variables), []
    for step in (1e-3, -1e-3):
        for variable, value, along in zip(variables, start, direction, strict=True):
            variable.assign(value + step * along)
        sides.append(float(alignment()))
    slope = sum(np.sum(g * d) for g, d in zip(gradients, direction, strict=True))
    assert float(slope) == pytest.approx((sides[0] - sides[1]) / 2e-3, rel=rtol)
    assert abs(slope) > 0.01


@pytest.mark.parametrize("policy", ["float32", "mixed_bfloat16"])
def test_it_draws_the_student_s_gradients_to_the_teacher_s(policy):
    with dtype_policy(policy):
        optimizer = keras.optimizers.Adam(0.01)
        distiller = make_distiller(gradient_weight=1.0, optimizer=optimizer, **ALONE)
        history = distiller.fit(*tiny_batch(), batch_size=20, epochs=15, verbose=0).history
    assert np.all(np.isfinite(history["loss"]))
    assert history["gradient_alignment"][-1] < 0.8 * history["gradient_alignment"][0]


def test_by_default_it_is_absent_and_costs_nothing(monkeypatch):
    def asked(*_):
        raise AssertionError("the teacher's input gradients were computed")

    monkeypatch.setattr(LiveTeacher, "input_gradients", asked)
    found = make_distiller().train_on_batch(*tiny_batch(), return_dict=True)
    assert "gradient_alignment" not in found
    assert Train().gradient_weight == Finetune().gradient_weight == 0


def test_a_cache_that_does_not_hold_them_cannot_say_it(tmp_path):
    build(tmp_path)
    with pytest.raises(UserError, match="cache does not hold the teacher's input gradients"):
        make_distiller(
            teacher=opened(tmp_path), student=ten_class_teacher(), tutors=(), gradient_weight=1.0
        )
    recipe = load_recipe("cifar10_s3_quick", ["train.gradient_weight=1"])
    assert recipe.train.arguments()["gradient_weight"] == 1
