"""Attacks against NumPy in float64 on a softmax model, whose gradient is known in closed form."""

import subprocess
import sys

import keras
import numpy as np
import pytest
import tensorflow as tf
from scipy.special import softmax

from rnascl_keras.attacks import FGSM, MIFGSM, PGD, make_attack
from rnascl_keras.attacks.base import Attack, ascend, map_batches, project, uniform_noise
from rnascl_keras.errors import UserError

SHAPE, CLASSES = (4, 4, 2), 5
PIXELS = int(np.prod(SHAPE))


@pytest.fixture
def problem():
    """Images, labels, start, weight and bias, all float64; some pixels lie at 0 and 1."""
    rng = np.random.default_rng(0)
    images = rng.uniform(-0.2, 1.2, (6, *SHAPE)).clip(0, 1)
    start = images + rng.uniform(-0.1, 0.1, images.shape)
    weight, bias = rng.normal(size=(PIXELS, CLASSES)), rng.normal(size=CLASSES)
    return images, rng.integers(0, CLASSES, 6), start, weight, bias


def gradient(x, labels, weight, bias):
    """Of the cross-entropy of softmax(x W + b): (softmax - one hot) W^T."""
    logits = x.reshape(len(x), -1) @ weight + bias
    return ((softmax(logits, axis=1) - np.eye(CLASSES)[labels]) @ weight.T).reshape(x.shape)


def clip(x, images, epsilon):
    return np.clip(np.clip(x, images - epsilon, images + epsilon), 0, 1)


def numpy_fgsm(images, labels, start, weight, bias, epsilon):
    return clip(images + epsilon * np.sign(gradient(images, labels, weight, bias)), images, epsilon)


def numpy_pgd(images, labels, start, weight, bias, epsilon):
    x = clip(start, images, epsilon)
    for _ in range(20):
        x = clip(x + epsilon / 4 * np.sign(gradient(x, labels, weight, bias)), images, epsilon)
    return x


def numpy_mi_fgsm(images, labels, start, weight, bias, epsilon):
    x, momentum = images, 0.0
    for _ in range(10):
        g = gradient(x, labels, weight, bias)
        momentum = momentum + np.stack([one / np.abs(one).sum() for one in g])
        x = clip(x + epsilon / 10 * np.sign(momentum), images, epsilon)
    return x


@pytest.mark.parametrize(("epsilon", "jit_compile"), [(0.03, False), (0.4, False), (0.4, True)])
@pytest.mark.parametrize(
    ("name", "reference"), [("fgsm", numpy_fgsm), ("pgd", numpy_pgd), ("mi_fgsm", numpy_mi_fgsm)]
)
def test_same_trajectory_as_numpy(problem, name, reference, epsilon, jit_compile):
    images, labels, start, weight, bias = problem
    attack = make_attack(name, epsilon)
    run = tf.function(
        lambda start, images: attack.adversarial_batch(
            lambda x: tf.reshape(x, (-1, PIXELS)) @ weight + bias, start, images, labels
        ),
        jit_compile=jit_compile,
    )
    found = run(tf.constant(start if attack.random_start else images), tf.constant(images))
    np.testing.assert_allclose(found, reference(*problem, epsilon), rtol=0, atol=1e-12)


def test_pgd_stops_after_the_given_steps(problem):
    images, labels, _, weight, bias = problem
    attack = PGD(0.2, steps=3, step_size=0.05, random_start=False)
    found = attack.adversarial_batch(
        lambda x: tf.reshape(x, (-1, PIXELS)) @ weight + bias,
        tf.constant(images),
        tf.constant(images),
        labels,
    )
    # the sign of a softmax model's gradient may change on the way, but no pixel goes beyond 3 steps
    assert np.abs(found - images).max() == pytest.approx(0.15, abs=1e-12)
    assert attack.key == "pgd3"


def test_mi_fgsm_divides_by_the_norm_before_adding_momentum():
    attack = MIFGSM(0.1)
    first = np.array([0.9, -0.1]).reshape(1, 1, 2, 1)
    second = np.array([-60.0, -40.0]).reshape(1, 1, 2, 1)
    move, momentum = attack.direction(tf.constant(first), tf.zeros_like(first))
    np.testing.assert_array_equal(np.ravel(move), [1, -1])
    move, momentum = attack.direction(tf.constant(second), momentum)
    # 0.9 - 0.6 and -0.1 - 0.4; without the division both would be negative, and with the sign
    # taken first the first pixel's momentum would be 0
    np.testing.assert_allclose(np.ravel(momentum), [0.3, -0.5], atol=1e-15)
    np.testing.assert_array_equal(np.ravel(move), [1, -1])


@pytest.mark.parametrize("name", ["fgsm", "pgd", "mi_fgsm"])
def test_a_saturated_model_is_attacked_all_the_same(problem, name):
    """Of logits 1,000 times as large the cross-entropy has no gradient in float32."""
    images, _, start, weight, bias = (np.asarray(part, "f4") for part in problem)
    weight, bias = 1000 * weight, 1000 * bias
    logits = images.reshape(6, -1) @ weight + bias
    labels = logits.argmax(1)
    second, first = np.sort(logits, axis=1)[:, -2:].T
    assert np.all(np.exp(second - first) == 0)
    attack = make_attack(name, 0.4)
    found = attack.adversarial_batch(
        lambda x: tf.reshape(x, (-1, PIXELS)) @ weight + bias,
        tf.constant(start if attack.random_start else images),
        tf.constant(images),
        labels,
    ).numpy()
    assert np.all((found.reshape(6, -1) @ weight + bias).argmax(1) != labels)


def test_an_image_without_gradient_stays_finite():
    images = tf.fill((2, 3, 3, 1), 0.5)
    attack = MIFGSM(0.1)
    found = attack.adversarial_batch(
        lambda x: 0.0 * tf.reshape(x, (2, 9))[:, :3], images, images, [0, 1]
    )
    np.testing.assert_array_equal(found, images)


def test_projection_is_the_nearest_point_of_ball_and_pixel_range():
    rng = np.random.default_rng(1)
    images = rng.uniform(size=(50, *SHAPE))
    far = images + rng.normal(size=images.shape)
    found = project(tf.constant(far), tf.constant(images), 0.1).numpy()
    assert np.abs(found - images).max() <= 0.1 + 1e-15
    assert found.min() >= 0 and found.max() <= 1
    # coordinate by coordinate, the nearest point of an interval
    low, high = np.maximum(images - 0.1, 0), np.minimum(images + 0.1, 1)
    np.testing.assert_array_equal(found, np.minimum(np.maximum(far, low), high))
    np.testing.assert_array_equal(project(tf.constant(found), tf.constant(images), 0.1), found)


@pytest.mark.parametrize("jit_compile", [False, True])
def test_ascend_compiles_and_agrees_with_eager(jit_compile):
    rng = np.random.default_rng(2)
    kernel = tf.constant(rng.normal(size=(3, 3, 1, 4)))
    images = tf.constant(rng.uniform(size=(3, 6, 6, 1)))

    def run(images):
        return ascend(
            lambda x: tf.reduce_sum(tf.nn.relu(tf.nn.conv2d(x, kernel, 1, "SAME")) ** 2, (1, 2, 3)),
            images,
            images,
            epsilon=0.2,
            step_size=0.05,
            steps=6,
        )

    compiled = tf.function(run, jit_compile=jit_compile)(images)
    np.testing.assert_allclose(compiled, run(images), rtol=0, atol=1e-12)
    assert np.abs(compiled - images).max() == pytest.approx(0.2)


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


def small_model():
    keras.utils.set_random_seed(0)
    return keras.Sequential(
        [
            keras.Input(SHAPE),
            keras.layers.Conv2D(6, 3, activation="relu"),
            keras.layers.BatchNormalization(),
            keras.layers.Flatten(),
            keras.layers.Dense(CLASSES),
        ]
    )


@pytest.mark.parametrize("name", ["fgsm", "pgd", "mi_fgsm"])
def test_perturb_stays_in_the_ball_and_raises_the_loss(problem, name):
    images, labels = problem[0].astype("float32"), problem[1]
    model = small_model()
    found = make_attack(name, 0.1).perturb(model, images, labels)
    assert found.dtype == np.float32 and found.shape == images.shape
    assert found.min() >= 0 and found.max() <= 1
    assert np.abs(found.astype(float) - images.astype(float)).max() <= 0.1 + 1e-6
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True, reduction="none")
    assert np.all(loss(labels, model(found)).numpy() > loss(labels, model(images)).numpy())


@pytest.mark.parametrize("name", ["fgsm", "pgd", "mi_fgsm"])
def test_same_images_whatever_the_batch_size(problem, name):
    images, labels = problem[0].astype("float32"), problem[1]
    model, attack = small_model(), make_attack(name, 0.1)
    whole = attack.perturb(model, images, labels, seed=3)
    for batch_size in (1, 4, 128):
        parts = attack.perturb(model, images, labels, seed=3, batch_size=batch_size)
        np.testing.assert_allclose(parts, whole, rtol=0, atol=1e-6)


def test_random_start_depends_on_seed_and_index_only():
    few, many = uniform_noise(SHAPE, 5, np.arange(3)), uniform_noise(SHAPE, 5, np.arange(200))
    np.testing.assert_array_equal(many[:3], few)
    assert len(np.unique(many.reshape(200, -1), axis=0)) == 200
    assert not np.any(uniform_noise(SHAPE, 6, np.arange(3)) == few)
    # uniform on (-1, 1): mean 0, variance 1/3; 6,400 values
    assert abs(many.mean()) < 0.03 and many.var() == pytest.approx(1 / 3, abs=0.02)
    assert np.abs(many).max() <= 1


def test_seed_moves_pgd_and_nothing_else(problem):
    images, labels = problem[0].astype("float32"), problem[1]
    model = small_model()
    one_step = PGD(0.1, steps=1)
    first = one_step.perturb(model, images, labels, seed=0)
    assert not np.allclose(first, one_step.perturb(model, images, labels, seed=1))
    np.testing.assert_array_equal(first, one_step.perturb(model, images, labels, seed=0))
    fgsm = FGSM(0.1)
    np.testing.assert_array_equal(
        fgsm.perturb(model, images, labels, seed=0), fgsm.perturb(model, images, labels, seed=1)
    )


def test_compiled_once_and_sees_changed_weights(problem):
    traces = []

    class Counted(FGSM):
        def objective(self, logits, labels):
            traces.append(logits.shape)
            return super().objective(logits, labels)

    images, labels = problem[0].astype("float32"), problem[1]
    inputs = keras.Input(SHAPE)
    model = keras.Model(inputs, keras.layers.Dense(CLASSES)(keras.layers.Flatten()(inputs)))
    attack = Counted(0.1)
    before = attack.perturb(model, images, labels, batch_size=4)
    assert traces == [(4, CLASSES)]
    model.set_weights([-weights for weights in model.get_weights()])
    after = attack.perturb(model, images, labels, batch_size=4)
    assert len(traces) == 1
    assert np.mean(before != after) > 0.3
    attack.perturb(small_model(), images, labels, batch_size=4)
    assert len(traces) == 2


def test_attacking_leaves_the_model_alone(problem):
    model = small_model()
    before = model.get_weights()
    PGD(0.1).perturb(model, problem[0], problem[1])
    for old, new in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)


def test_progress_tells_every_batch(problem):
    seen = []
    found = FGSM(0.1).perturb(
        small_model(),
        problem[0],
        problem[1],
        batch_size=4,
        progress=lambda first, batch: seen.append((first, batch)),
    )
    assert [(first, len(batch)) for first, batch in seen] == [(0, 4), (4, 2)]
    np.testing.assert_array_equal(np.concatenate([batch for _, batch in seen]), found)


def test_map_batches_gives_equal_batches_and_cuts_the_filling():
    shapes = []

    def double(x):
        shapes.append(x.shape)
        return 2 * x

    parts = dict(map_batches(double, (np.arange(7),), 3))
    assert shapes == [(3,)] * 3
    np.testing.assert_array_equal(np.concatenate(list(parts.values())), 2 * np.arange(7))
    assert list(parts) == [0, 3, 6]


@pytest.mark.parametrize(
    ("name", "key", "steps", "step_size", "random_start"),
    [
        ("fgsm", "fgsm", 1, 0.08, False),
        ("pgd", "pgd20", 20, 0.02, True),
        ("pgd20", "pgd20", 20, 0.02, True),
        ("mi_fgsm", "mi_fgsm", 10, 0.008, False),
    ],
)
def test_published_settings(name, key, steps, step_size, random_start):
    attack = make_attack(name, 0.08)
    assert (attack.key, attack.steps, attack.random_start) == (key, steps, random_start)
    assert attack.step_size == pytest.approx(step_size) and attack.epsilon == 0.08


def test_unknown_attack_names_the_nearest():
    with pytest.raises(UserError, match=r"'mifgsm' is unknown.*Did you mean 'mi_fgsm'"):
        make_attack("mifgsm", 0.1)


@pytest.mark.parametrize("epsilon", [0, -0.1, 8, float("nan")])
def test_epsilon_outside_the_pixel_range_is_refused(epsilon):
    for name in ("fgsm", "pgd", "mi_fgsm"):
        with pytest.raises(UserError, match=r"epsilon is .*\(0, 1\]"):
            make_attack(name, epsilon)


def test_a_new_attack_needs_only_its_difference(problem):
    """A targeted step towards class 0, written the way later attacks are."""

    class TowardsZero(Attack):
        key = "towards_zero"

        def __init__(self, epsilon):
            super().__init__(epsilon, steps=1, step_size=epsilon, random_start=False)

        def objective(self, logits, labels):
            return logits[:, 0]

    images, labels, _, weight, bias = problem
    found = TowardsZero(0.1).adversarial_batch(
        lambda x: tf.reshape(x, (-1, PIXELS)) @ weight + bias,
        tf.constant(images),
        tf.constant(images),
        labels,
    )
    expected = clip(images + 0.1 * np.sign(weight[:, 0]).reshape(SHAPE), images, 0.1)
    np.testing.assert_allclose(found, expected, atol=1e-12)


def test_importing_attacks_does_not_import_tensorflow():
    code = (
        "import sys, rnascl_keras.attacks; sys.exit('tensorflow' in sys.modules or "
        "'keras' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], timeout=60).returncode == 0
