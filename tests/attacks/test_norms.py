"""The balls that attacks stay in: projection, steepest change, random points."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from classifiers import SHAPE, images_of
from scipy.optimize import minimize

from rnascl_keras.attacks.norms import L0, L1, L2, Linf

IMAGES = images_of()
STEEP = (Linf, L2, L1)  # those in which one follows a gradient


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


def by_bisection(point, image, epsilon):
    """The nearest point of ball and [0, 1]: all shrink by what makes the sum epsilon (KKT)."""
    change = point - image
    room = np.where(change > 0, 1 - image, image)

    def kept(amount):
        return np.minimum(np.maximum(np.abs(change) - amount, 0), room)

    low, high = 0.0, np.abs(change).max()
    if kept(0).sum() > epsilon:
        for _ in range(100):
            middle = (low + high) / 2
            low, high = (middle, high) if kept(middle).sum() > epsilon else (low, middle)
    return image + np.sign(change) * kept(low)


@pytest.mark.parametrize("epsilon", [1e-3, 0.3, 2, 12, 30])
def test_l1_projection_is_the_nearest_point_of_ball_and_pixel_range(epsilon):
    rng = np.random.default_rng(1)
    images = images_of(60)
    scale = rng.choice([0.01, 0.1, 1, 5], (60, 1, 1, 1))
    far = images + scale * rng.normal(size=images.shape) * (rng.random(images.shape) < 0.7)
    far[0] = images[0]
    found = L1.project(far, images, epsilon)
    expected = np.stack([by_bisection(*pair, epsilon) for pair in zip(far, images, strict=True)])
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-12)
    assert L1.length(found - images).max() <= epsilon + 1e-12
    assert found.min() >= 0 and found.max() <= 1
    np.testing.assert_allclose(L1.project(found, images, epsilon), found, rtol=0, atol=1e-12)
    narrow = L1.project(far.astype("f4"), images.astype("f4"), epsilon)
    assert narrow.dtype == np.float32
    np.testing.assert_allclose(narrow, expected, rtol=0, atol=1e-5)


def test_l1_projection_is_nearer_than_any_other_point():
    """A quadratic programme, solved by another's hand."""
    rng = np.random.default_rng(2)
    image, far = rng.uniform(size=(2, 1, 3, 2, 1)) * np.array([1, 3]).reshape(2, 1, 1, 1, 1)
    found = L1.project(far, image, 0.8)
    # a change is up - down, both at least 0
    center, wanted = image.ravel(), far.ravel()
    best = minimize(
        lambda z: np.sum((center + z[:6] - z[6:] - wanted) ** 2),
        np.full(12, 0.01),
        bounds=[(0, 1 - p) for p in center] + [(0, p) for p in center],
        constraints={"type": "ineq", "fun": lambda z: 0.8 - z.sum()},
        tol=1e-14,
    )
    assert np.sum((found.ravel() - wanted) ** 2) == pytest.approx(best.fun, rel=1e-6)


@pytest.mark.parametrize("norm", STEEP)
def test_projection_is_the_same_in_the_graph(norm):
    far = IMAGES + np.random.default_rng(1).normal(size=IMAGES.shape)
    run = tf.function(lambda x, y: norm.project(x, y, 0.1, keras.ops), jit_compile=True)
    found = run(tf.constant(far), tf.constant(IMAGES))
    np.testing.assert_allclose(found, norm.project(far, IMAGES, 0.1), rtol=0, atol=1e-14)


@pytest.mark.parametrize("norm", STEEP)
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
    sums = [np.abs(L1.random_change(rng, (2, 2, 1))).sum() for _ in range(2000)]
    assert np.max(sums) <= 1 and np.mean(np.power(sums, 4)) == pytest.approx(0.5, abs=0.03)
    signs = np.stack([np.sign(L1.random_change(rng, (2, 2, 1))).ravel() for _ in range(2000)])
    assert np.abs(signs.mean(0)).max() < 0.1


def test_a_long_step_in_l1_is_spread_over_as_many_values_as_can_take_it():
    slope = np.random.default_rng(0).normal(size=(2, 20, 20, 1))  # 400 values
    for length, count in ((0.1, 4), (2, 8), (1000, 400)):
        found = L1.direction(slope, length)
        np.testing.assert_allclose(L1.length(found), 1)
        assert np.all(np.count_nonzero(found, axis=(1, 2, 3)) == count)
        least = np.where(found != 0, np.abs(slope), np.inf).min(axis=(1, 2, 3), keepdims=True)
        assert np.all(np.abs(slope)[found == 0] <= np.broadcast_to(least, slope.shape)[found == 0])
        assert np.all(found * slope >= 0)


def test_in_l0_a_pixel_counts_once_however_many_channels_change():
    change = np.zeros((2, 4, 4, 3))
    change[0, 1, 2] = 0.1, 0, -1e-3
    change[0, 3, 3, 0] = 1
    assert L0.length(change).tolist() == [2, 0]
