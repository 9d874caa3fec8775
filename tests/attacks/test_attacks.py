"""Attacks with fixed steps against NumPy in float64, and what all attacks share."""

import itertools
import subprocess
import sys

import keras
import numpy as np
import pytest
import tensorflow as tf
from classifiers import CLASSES, SHAPE, images_of, linear_classifier, two_layers

from rnascl_keras.attacks import ATTACKS, CW, FGSM, MIFGSM, PGD, make_attack
from rnascl_keras.attacks.base import IteratedAttack, ascend
from rnascl_keras.attacks.keras_classifier import KerasClassifier
from rnascl_keras.attacks.norms import L2, NORMS, Linf
from rnascl_keras.attacks.state import Found
from rnascl_keras.errors import UserError

IMAGES = images_of()


def gradient(model, x, labels, margin=False):
    """Of the cross-entropy, or of the margin, by the pixels: slopes by the logits, times W^T."""
    logits = x.reshape(len(x), -1) @ model.weight + model.bias
    one_hot = np.eye(CLASSES)[labels]
    if margin:
        slopes = np.eye(CLASSES)[np.where(one_hot, -np.inf, logits).argmax(1)] - one_hot
    else:
        odds = np.exp(logits - logits.max(1, keepdims=True))
        slopes = odds / odds.sum(1, keepdims=True) - one_hot
    return (slopes @ model.weight.T).reshape(x.shape)


def clip(x, images, epsilon):
    return np.clip(np.clip(x, images - epsilon, images + epsilon), 0, 1)


def start_of(images, epsilon, seed=0):
    """The documented random start: U(-1, 1) of a generator of (seed, index, run)."""
    noise = [
        np.random.default_rng((seed, i, 0)).uniform(-1, 1, x.shape) for i, x in enumerate(images)
    ]
    return clip(images + epsilon * np.stack(noise), images, epsilon)


def numpy_fgsm(model, images, labels, epsilon):
    return clip(images + epsilon * np.sign(gradient(model, images, labels)), images, epsilon)


def numpy_pgd(model, images, labels, epsilon, margin=False):
    x = start_of(images, epsilon)
    for _ in range(20):
        x = clip(x + epsilon / 4 * np.sign(gradient(model, x, labels, margin)), images, epsilon)
    return x


def numpy_cw(model, images, labels, epsilon):
    return numpy_pgd(model, images, labels, epsilon, margin=True)


def numpy_mi_fgsm(model, images, labels, epsilon):
    x, momentum = images, 0.0
    for _ in range(10):
        g = gradient(model, x, labels)
        momentum = momentum + np.stack([one / np.abs(one).sum() for one in g])
        x = clip(x + epsilon / 10 * np.sign(momentum), images, epsilon)
    return x


REFERENCES = {
    "fgsm": numpy_fgsm,
    "pgd": numpy_pgd,
    "mi_fgsm": numpy_mi_fgsm,
    "cw": numpy_cw,
}


@pytest.mark.parametrize("epsilon", [0.03, 0.4])
@pytest.mark.parametrize("name", REFERENCES)
def test_same_trajectory_as_numpy(name, epsilon):
    """Without stopping early, all steps are taken, also beyond the boundary."""
    model = linear_classifier()
    labels = model.logits(IMAGES).argmax(1)
    attack = make_attack(name, epsilon)
    attack.stop_early = False
    found = attack.perturb(model, IMAGES, labels)
    expected = REFERENCES[name](model, IMAGES, labels, epsilon)
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-12)


@pytest.mark.parametrize("name", REFERENCES)
def test_stopping_early_decides_alike_and_leaves_an_image_as_it_falls(name):
    model = two_layers()
    labels = model.logits(IMAGES).argmax(1)
    whole, early = make_attack(name, 0.06), make_attack(name, 0.06)
    whole.stop_early = False
    fallen = [model.logits(a.perturb(model, IMAGES, labels)).argmax(1) for a in (whole, early)]
    # An image that is back on the right side after its last step is broken all the same.
    assert np.all((fallen[1] != labels) >= (fallen[0] != labels))
    assert 0 < np.mean(fallen[1] != labels) < 1


def test_pgd_stops_after_the_given_steps():
    model = linear_classifier()
    labels = model.logits(IMAGES).argmax(1)
    attack = PGD(0.2, steps=3, step_size=0.05, random_start=False, stop_early=False)
    found = attack.perturb(model, IMAGES, labels)
    # the sign may change on the way, but no pixel goes beyond 3 steps
    assert np.abs(found - IMAGES).max() == pytest.approx(0.15, abs=1e-12)
    assert attack.key == "pgd3"


def test_restarts_start_elsewhere_and_break_no_fewer_images():
    model, images = two_layers(), images_of(60)
    labels = model.logits(images).argmax(1)

    class Recording(PGD):
        def start(self, state):
            self.starts.append((state.rows, super().start(state)))
            return self.starts[-1][1]

    attack = Recording(0.05, steps=2, step_size=0.01, restarts=3)
    attack.starts = []
    found = model.logits(attack.perturb(model, images, labels)).argmax(1) == labels
    first = PGD(0.05, steps=2, step_size=0.01)
    once = model.logits(first.perturb(model, images, labels)).argmax(1) == labels
    assert len(attack.starts) == 2
    assert np.all(found <= once) and found.sum() < once.sum()
    rows, points = attack.starts[1]
    # the second and third run start, side by side, with what the first has left, elsewhere
    np.testing.assert_array_equal(rows, np.tile(np.flatnonzero(once), 2))
    starts = attack.starts[0][1][once], *np.split(points, 2)
    for one, other in itertools.combinations(starts, 2):
        assert not np.any(np.isclose(one, other, atol=1e-6).all((1, 2, 3)))


def test_of_runs_side_by_side_the_first_to_fall_and_the_largest_margin_count():
    images, labels = np.zeros((3, 1, 1, 1)), np.zeros(3, int)
    found = Found.nothing(images, labels, np.array([[1.0, 0.0]] * 3))
    points = np.arange(1.0, 5.0).reshape(4, 1, 1, 1)
    found.fell(np.array([1, 2, 1]), points[:3], np.array([0.1, 0.2, 0.3]))
    assert found.robust.tolist() == [True, False, False]
    assert found.images[:, 0, 0, 0].tolist() == [0, 1, 2] and found.margin[1] == 0.1
    found.offer(np.array([0, 0, 0]), points[:3], np.array([-3.0, -1.0, -2.0]))
    assert found.images[0, 0, 0, 0] == 2 and found.margin[0] == -1


def test_runs_side_by_side_find_what_runs_one_by_one_find():
    """Of each image that a later run breaks, the run that needs the fewest steps counts."""
    model, images = two_layers(), images_of(60)
    labels = model.logits(images).argmax(1)
    together = PGD(0.05, steps=4, step_size=0.01, restarts=5).perturb(model, images, labels)
    broken, seen = model.logits(together).argmax(1) != labels, np.zeros(60, bool)
    logits = model.logits(images)
    for run in range(5):

        class Only(PGD):
            def start(self, state, run=run):
                numbers = [np.random.default_rng((0, int(i), run)) for i in state.rows]
                state.generators = np.array(numbers)
                return super().start(state)

        alone = Only(0.05, steps=4, step_size=0.01).run(model, images, labels, logits)
        fallen = ~alone.robust
        seen |= fallen
        if run == 0:
            np.testing.assert_array_equal(together[fallen], alone.images[fallen])
    np.testing.assert_array_equal(broken, seen)
    assert 0 < seen.sum() < 60


def test_mi_fgsm_divides_by_the_norm_before_adding_momentum():
    class State:
        momentum = np.zeros((1, 1, 2, 1))

    attack, state = MIFGSM(0.1), State()
    state.gradient = np.array([0.9, -0.1]).reshape(1, 1, 2, 1)
    np.testing.assert_array_equal(np.ravel(attack.direction(state)), [1, -1])
    state.gradient = np.array([-60.0, -40.0]).reshape(1, 1, 2, 1)
    # 0.9 - 0.6 and -0.1 - 0.4; without the division both would be negative, and with the sign
    # taken first the first pixel's momentum would be 0
    np.testing.assert_array_equal(np.ravel(attack.direction(state)), [1, -1])
    np.testing.assert_allclose(np.ravel(state.momentum), [0.3, -0.5], atol=1e-15)


@pytest.mark.parametrize("name", REFERENCES)
def test_a_saturated_model_is_attacked_all_the_same(name):
    """Of logits 1,000 times as large the cross-entropy has no gradient in float32."""
    model = linear_classifier()
    model.weight, model.bias = (1000 * part.astype("f4") for part in (model.weight, model.bias))
    images = IMAGES.astype("f4")
    logits = model.logits(images)
    second, first = np.sort(logits, axis=1)[:, -2:].T
    assert np.all(np.exp(second - first) == 0)
    found = make_attack(name, 0.4).perturb(model, images, logits.argmax(1))
    assert np.all(model.logits(found).argmax(1) != logits.argmax(1))


class Undefined:
    """A classifier whose gradient is not finite."""

    def logits(self, images):
        return np.stack([1 + images.sum((1, 2, 3)), images.sum((1, 2, 3))], axis=1)

    def logits_and_gradient(self, images, loss, labels, targets):
        gradient = np.zeros_like(images)
        gradient[:, 0], gradient[:, 1] = np.nan, np.inf
        return self.logits(images), gradient


@pytest.mark.parametrize(
    ("name", "norm"),
    [("fgsm", "Linf"), ("fgsm", "L2"), ("mi_fgsm", "Linf"), ("mi_fgsm", "L2"), ("cw", "L2")],
)
def test_an_undefined_gradient_moves_nothing_and_stays_finite(name, norm):
    found = make_attack(name, 0.1, norm=norm).perturb(Undefined(), IMAGES, np.zeros(12, int))
    np.testing.assert_array_equal(found, IMAGES)


def test_linf_projection_is_the_nearest_point_of_ball_and_pixel_range():
    rng = np.random.default_rng(1)
    images = rng.uniform(size=(50, *SHAPE))
    far = images + rng.normal(size=images.shape)
    found = Linf.project(far, images, 0.1)
    assert np.abs(found - images).max() <= 0.1 + 1e-15
    assert found.min() >= 0 and found.max() <= 1
    # coordinate by coordinate, the nearest point of an interval
    low, high = np.maximum(images - 0.1, 0), np.minimum(images + 0.1, 1)
    np.testing.assert_array_equal(found, np.minimum(np.maximum(far, low), high))
    np.testing.assert_array_equal(Linf.project(found, images, 0.1), found)


def test_l2_projection_scales_what_is_outside_and_leaves_what_is_inside():
    images = np.full((2, *SHAPE), 0.5)
    change = np.random.default_rng(1).normal(size=images.shape)
    change /= np.sqrt((change**2).sum((1, 2, 3), keepdims=True))
    far = images + change * np.array([0.05, 0.3]).reshape(2, 1, 1, 1)
    found = L2.project(far, images, 0.1)
    np.testing.assert_allclose(found[0], far[0], atol=1e-15)
    np.testing.assert_allclose(found[1], images[1] + 0.1 * change[1], atol=1e-15)


@pytest.mark.parametrize("norm", NORMS.values())
def test_projection_is_the_same_in_the_graph(norm):
    far = IMAGES + np.random.default_rng(1).normal(size=IMAGES.shape)
    run = tf.function(lambda x, y: norm.project(x, y, 0.1, keras.ops), jit_compile=True)
    found = run(tf.constant(far), tf.constant(IMAGES))
    np.testing.assert_allclose(found, norm.project(far, IMAGES, 0.1), rtol=0, atol=1e-14)


@pytest.mark.parametrize("norm", NORMS.values())
def test_steepest_is_the_best_change_of_length_one(norm):
    rng = np.random.default_rng(0)
    slope = rng.normal(size=(4, *SHAPE))
    best = norm.steepest(slope)
    np.testing.assert_allclose(norm.length(best), 1)
    gain = (slope * best).sum((1, 2, 3))
    np.testing.assert_allclose(gain, norm.dual_length(slope))
    for _ in range(50):
        other = rng.normal(size=slope.shape)
        other /= norm.length(other).reshape(-1, 1, 1, 1)
        assert np.all((slope * other).sum((1, 2, 3)) < gain)
    tiny = norm.steepest(slope.astype("f4") * np.float32(1e-30))
    np.testing.assert_allclose(tiny, best, atol=1e-6)
    np.testing.assert_array_equal(norm.steepest(np.zeros((1, *SHAPE))), 0)


def test_random_changes_are_uniform_in_the_ball():
    rng = np.random.default_rng(0)
    flat = np.stack([Linf.random_change(rng, (2, 2, 1)).ravel() for _ in range(2000)])
    # uniform on (-1, 1): mean 0, variance 1/3
    assert np.abs(flat).max() <= 1 and flat.var() == pytest.approx(1 / 3, abs=0.01)
    radius = [np.linalg.norm(L2.random_change(rng, (2, 2, 1))) for _ in range(2000)]
    # of radius r, a share of r^4 of the four-dimensional ball lies inside
    assert np.max(radius) <= 1 and np.mean(np.power(radius, 4)) == pytest.approx(0.5, abs=0.03)


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


def test_a_keras_model_gives_its_gradient():
    model, images = small_model(), IMAGES.astype("f4")
    labels, targets = np.arange(12) % CLASSES, (np.arange(12) + 1) % CLASSES
    from rnascl_keras.attacks import losses

    classifier = KerasClassifier(model)
    for loss in (losses.log_odds, losses.margin, losses.dlr, losses.targeted_dlr):
        logits, found = classifier.logits_and_gradient(images, loss, labels, targets)
        np.testing.assert_allclose(logits, model(images), atol=1e-6)
        direction = np.random.default_rng(0).normal(size=images.shape).astype("f4")
        ends = [classifier.logits(images + sign * 1e-3 * direction) for sign in (1, -1)]
        values = [loss(np, end.astype(float), labels, targets)[0] for end in ends]
        slope = (values[0] - values[1]) / 2e-3
        np.testing.assert_allclose((found * direction).sum((1, 2, 3)), slope, atol=0.02)


def test_a_wrapped_model_is_compiled_once_and_sees_changed_weights():
    traces = []

    class Traced(keras.layers.Layer):
        def call(self, x):
            traces.append(tuple(x.shape))
            return x

    inputs = keras.Input(SHAPE)
    features = keras.layers.Flatten()(Traced()(inputs))
    model = keras.Model(inputs, keras.layers.Dense(CLASSES)(features))
    traces.clear()
    images, classifier = IMAGES.astype("f4"), KerasClassifier(model)
    labels = classifier.logits(images).argmax(1)
    before = FGSM(0.1).perturb(classifier, images, labels, batch_size=4)
    assert traces == [(None, *SHAPE)] * 2  # logits, and logits with gradient
    model.set_weights([-weights for weights in model.get_weights()])
    after = FGSM(0.1).perturb(classifier, images, classifier.logits(images).argmax(1), batch_size=5)
    assert len(traces) == 2
    assert np.mean(before != after) > 0.3


@pytest.mark.parametrize("name", REFERENCES)
def test_a_keras_model_falls_in_any_batch_size(name):
    model, images = small_model(), IMAGES.astype("f4")
    labels = np.asarray(model(images)).argmax(1)
    weights = model.get_weights()
    whole = make_attack(name, 0.1).perturb(model, images, labels, seed=3)
    assert whole.dtype == np.float32
    for size in (1, 5):
        parts = make_attack(name, 0.1).perturb(model, images, labels, seed=3, batch_size=size)
        np.testing.assert_allclose(parts, whole, rtol=0, atol=1e-6)
    assert np.mean(np.asarray(model(whole)).argmax(1) != labels) > 0.3
    for old, new in zip(weights, model.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)


def test_seed_moves_pgd_and_nothing_else():
    model = two_layers()
    labels = model.logits(IMAGES).argmax(1)
    one_step = PGD(0.1, steps=1, stop_early=False)
    first = one_step.perturb(model, IMAGES, labels, seed=0)
    assert not np.allclose(first, one_step.perturb(model, IMAGES, labels, seed=1))
    np.testing.assert_array_equal(first, one_step.perturb(model, IMAGES, labels, seed=0))
    fgsm = [FGSM(0.1).perturb(model, IMAGES, labels, seed=seed) for seed in (0, 1)]
    np.testing.assert_array_equal(*fgsm)


def test_only_what_is_unbroken_is_looked_at_in_full_batches():
    model, images = two_layers(), images_of(50)
    labels = model.logits(images).argmax(1)
    labels[:7] = (labels[:7] + 1) % CLASSES  # wrong already
    model.asked.clear()
    PGD(0.05).perturb(model, images, labels, batch_size=100)
    clean, *asked = model.asked
    assert clean == 50 and asked[0] == 43 and asked[-1] < 30
    assert np.all(np.diff(asked) <= 0)
    model.asked.clear()
    PGD(0.05).perturb(model, images, labels, batch_size=8)
    assert len(model.asked) == 7 + sum(-(-count // 8) for count in asked)


def test_progress_tells_what_is_done_and_what_is_left():
    model = two_layers()
    labels = model.logits(IMAGES).argmax(1)
    told = []
    found = PGD(0.06, restarts=2).perturb(
        model, IMAGES, labels, progress=lambda *seen: told.append(seen)
    )
    done, right = np.array(told).T
    assert np.all(np.diff(done) > 0) and done[-1] == pytest.approx(1) and len(told) == 2 * 21
    assert np.all(np.diff(right) <= 0)
    assert right[-1] == np.mean(model.logits(found).argmax(1) == labels)


@pytest.mark.parametrize(
    ("name", "key", "steps", "step_size", "random_start"),
    [
        ("fgsm", "fgsm", 1, 0.08, False),
        ("pgd", "pgd20", 20, 0.02, True),
        ("pgd20", "pgd20", 20, 0.02, True),
        ("mi_fgsm", "mi_fgsm", 10, 0.008, False),
        ("cw", "cw", 20, 0.02, True),
    ],
)
def test_published_settings(name, key, steps, step_size, random_start):
    attack = make_attack(name, 0.08)
    assert (attack.key, attack.steps, attack.random_start) == (key, steps, random_start)
    assert attack.step_size == pytest.approx(step_size) and attack.epsilon == 0.08
    assert attack.restarts == 1


def test_the_keys_are_those_promised():
    keys = [make_attack(name, 0.1).key for name in ATTACKS]
    assert keys == ["fgsm", "pgd20", "pgd20", "mi_fgsm", "cw", "square", "auto_attack"]


def test_unknown_names_tell_the_nearest():
    with pytest.raises(UserError, match=r"'mifgsm' is unknown.*Did you mean 'mi_fgsm'"):
        make_attack("mifgsm", 0.1)
    with pytest.raises(UserError, match=r"norm 'Linff' is unknown.*Did you mean 'Linf'"):
        FGSM(0.1, norm="Linff")
    with pytest.raises(UserError, match=r"loss 'margn' is unknown.*Did you mean 'margin'"):
        PGD(0.1, loss="margn")


@pytest.mark.parametrize("epsilon", [-0.1, 8, float("nan")])
@pytest.mark.parametrize("name", ATTACKS)
def test_epsilon_outside_the_pixel_range_is_refused(name, epsilon):
    with pytest.raises(UserError, match=r"epsilon is .*\(0, 1\]"):
        make_attack(name, epsilon)


def test_a_long_radius_is_one_in_l2():
    assert PGD(8, norm="L2").epsilon == 8
    for epsilon in (-1.0, float("inf")):
        with pytest.raises(UserError, match=r"epsilon is .*\(0, inf\)"):
            PGD(epsilon, norm="L2")


def test_a_new_attack_needs_only_its_difference():
    """A step towards class 0, written the way other attacks are."""

    class TowardsZero(IteratedAttack):
        key = "towards_zero"

        def advance(self, state, step):
            return state.x + self.epsilon * np.sign(state.gradient)

        @staticmethod
        def loss(ops, logits, labels, targets):
            slopes = np.zeros_like(logits)
            slopes[:, 0] = 1
            return logits[:, 0], slopes

    model = linear_classifier()
    labels = model.logits(IMAGES).argmax(1)
    found = TowardsZero(0.1, steps=1).perturb(model, IMAGES, labels)
    expected = clip(IMAGES + 0.1 * np.sign(model.weight[:, 0]).reshape(SHAPE), IMAGES, 0.1)
    np.testing.assert_allclose(found, expected, atol=1e-12)


@pytest.mark.parametrize("kind", [FGSM, CW])
def test_a_model_without_gradient_is_sent_to_square(kind):
    class LogitsOnly:
        def logits(self, images):
            return linear_classifier().logits(images)

    labels = LogitsOnly().logits(IMAGES).argmax(1)
    with pytest.raises(UserError, match="a LogitsOnly does not give; attack it with square"):
        kind(0.1).perturb(LogitsOnly(), IMAGES, labels)
    found = make_attack("square", 0.2, queries=50).perturb(LogitsOnly(), IMAGES, labels)
    assert np.mean(LogitsOnly().logits(found).argmax(1) != labels) > 0.5


def test_what_is_no_model_is_refused():
    with pytest.raises(UserError, match="a function cannot be attacked; expected a Keras model"):
        FGSM(0.1).perturb(lambda images: images, IMAGES, np.zeros(12, int))


def test_importing_and_using_attacks_imports_no_tensorflow():
    code = """
import sys
import numpy as np
sys.path.insert(0, "tests")
from classifiers import images_of, linear_classifier
from rnascl_keras.attacks import ATTACKS, make_attack
from rnascl_keras.evaluation.evaluate import evaluate
model, images = linear_classifier(), images_of(4)
labels = model.logits(images).argmax(1)
evaluate(model, images, labels, attacks=set(ATTACKS) - {"auto_attack"}, epsilon=0.4)
make_attack("auto_attack", 0.4).perturb(model, images, labels)
sys.exit(bool({"tensorflow", "keras"} & set(sys.modules)))
"""
    assert subprocess.run([sys.executable, "-c", code], timeout=120).returncode == 0
