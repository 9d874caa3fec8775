"""The balls that attacks stay in: projection, steepest change, random points."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from classifiers import SHAPE, images_of

from rnascl_keras.attacks.norms import L2, NORMS, Linf

IMAGES = images_of()


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
