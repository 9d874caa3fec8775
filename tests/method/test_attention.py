"""Attention maps, resizing and eq. 1 against double loops in NumPy float64."""

import numpy as np
import pytest
import tensorflow as tf

from rnascl_keras.errors import UserError
from rnascl_keras.method.attention import (
    attention_loss,
    attention_map,
    common_size,
    default_map_size,
    pairwise_distances,
    resize_map,
    resize_matrix,
    tutored_attention_loss,
    unit_maps,
)

SIZE = (4, 3)


def unit(vector):
    norm = np.sqrt(np.sum(vector**2))
    return vector / norm if norm > 0 else np.zeros_like(vector)


def eq1(student, teacher, g):
    """Eq. 1 as printed, by loops, in float64, for activations at the common size."""
    student, teacher = ([np.asarray(a, np.float64) for a in xs] for xs in (student, teacher))
    total = 0.0
    for image in range(len(student[0])):
        for i, a in enumerate(student):
            for j, b in enumerate(teacher):
                f_s, f_t = (a[image] ** 2).sum(-1), (b[image] ** 2).sum(-1)
                total += g[i, j] * np.sqrt(np.sum((unit(f_s) - unit(f_t)) ** 2))
    return total / (len(student) * len(teacher) * len(student[0]))


def ours(student, teacher, g):
    return attention_loss(
        unit_maps(student, SIZE), unit_maps(teacher, SIZE), tf.convert_to_tensor(g)
    )


def activations(rng, channels, batch=3):
    return [rng.normal(size=(batch, *SIZE, c)).astype("float32") for c in channels]


def random_weights(rng, n_s, n_t):
    powers = np.exp(rng.normal(size=(n_s, n_t)))
    return (powers / powers.sum(-1, keepdims=True)).astype("float32")


@pytest.mark.parametrize("seed", range(3))
def test_eq_1_equals_the_double_loop(seed):
    rng = np.random.default_rng(seed)
    student, teacher = activations(rng, (2, 5, 3)), activations(rng, (4, 1, 2, 7))
    g = random_weights(rng, 3, 4)
    expected = eq1(student, teacher, g)
    assert abs(float(ours(student, teacher, g)) - expected) < 1e-6
    assert expected > 0.01


def test_the_gradient_equals_finite_differences():
    rng = np.random.default_rng(1)
    student, teacher = activations(rng, (2, 3), 2), activations(rng, (4, 2, 3), 2)
    g = random_weights(rng, 2, 3)
    variables = [tf.Variable(a) for a in student]
    weights = tf.Variable(g)
    with tf.GradientTape() as tape:
        loss = ours(variables, teacher, weights)
    *found, by_weight = tape.gradient(loss, [*variables, weights])
    for k, gradient in enumerate(found):
        exact = np.zeros(student[k].shape)
        for index in np.ndindex(exact.shape):
            moved = [np.float64(a) for a in student]
            moved[k][index] += 1e-6
            up = eq1(moved, teacher, g)
            moved[k][index] -= 2e-6
            exact[index] = (up - eq1(moved, teacher, g)) / 2e-6
        np.testing.assert_allclose(gradient, exact, atol=1e-6)
    for index in np.ndindex(g.shape):
        moved = np.float64(g)
        moved[index] += 1
        exact = eq1(student, teacher, moved) - eq1(student, teacher, np.float64(g))
        assert abs(float(by_weight[index]) - exact) < 1e-6


def test_a_maps_own_gradient_and_that_gradients():
    rng = np.random.default_rng(5)
    x, v = (rng.normal(size=(2, *SIZE, 5)).astype("float32") for _ in range(2))
    u = rng.normal(size=(2, *SIZE)).astype("float32")
    variable, upstream = tf.Variable(x), tf.Variable(u)
    with tf.GradientTape() as outer:
        with tf.GradientTape() as tape:
            weighted = tf.reduce_sum(upstream * attention_map(variable))
        first = tape.gradient(weighted, variable)
        along = tf.reduce_sum(v * first)
    by_x, by_u = outer.gradient(along, [variable, upstream])
    x, v, u = (np.float64(array) for array in (x, v, u))
    np.testing.assert_allclose(first, 2 * u[..., None] * x, rtol=1e-6)
    np.testing.assert_allclose(by_x, 2 * u[..., None] * v, rtol=1e-6)
    np.testing.assert_allclose(by_u, 2 * np.sum(v * x, axis=-1), atol=1e-5)


@pytest.mark.parametrize("distance", [1e-2, 1e-3, 1e-4, 1e-5])
def test_nearly_equal_maps(distance):
    rng = np.random.default_rng(2)
    base = rng.uniform(0.5, 2, size=(1, *SIZE, 1))
    direction = rng.normal(size=base.shape)
    moved = base + distance * direction
    student, teacher = [np.sqrt(moved).astype("float32")], [np.sqrt(base).astype("float32")]
    g = np.ones((1, 1), "float32")
    expected = eq1(student, teacher, g)
    assert 0.05 * distance < expected < distance  # else the case would test nothing
    variable = tf.Variable(student[0])
    with tf.GradientTape() as tape:
        loss = ours([variable], teacher, g)
    assert abs(float(loss) - expected) < 5e-7
    # the gradient is a unit vector's, however near the maps are
    f = np.float64(student[0][0, :, :, 0]) ** 2
    gap = unit(f) - unit(np.float64(teacher[0][0, :, :, 0]) ** 2)
    ahead = unit(gap) - unit(f) * np.sum(unit(gap) * unit(f))
    exact = ahead / np.sqrt(np.sum(f**2)) * 2 * np.float64(student[0][0, :, :, 0])
    error = np.abs(tape.gradient(loss, variable)[0, :, :, 0] - exact).max() / np.abs(exact).max()
    assert error < max(1e-4, 3e-7 / distance)


def test_equal_maps_have_distance_zero_and_no_gradient():
    a = np.random.default_rng(3).normal(size=(2, *SIZE, 3)).astype("float32")
    variable = tf.Variable(a)
    with tf.GradientTape() as tape:
        loss = ours([variable], [a], np.ones((1, 1), "float32"))
    assert float(loss) == 0
    assert not np.any(tape.gradient(loss, variable))


def test_maps_of_zeros_give_distance_one_and_neither_nan_nor_gradient():
    rng = np.random.default_rng(4)
    living, teacher = activations(rng, (2, 3))
    dead = np.zeros_like(living)
    half = living * np.array([1, 0, 1], "float32")[:, None, None, None]  # one dead image of three
    maps = unit_maps([dead, living], SIZE), unit_maps([teacher, dead], SIZE)
    distances = pairwise_distances(*maps).numpy()
    np.testing.assert_allclose(distances[:, 0, 0], 1, atol=1e-6)
    np.testing.assert_allclose(distances[:, 1, 1], 1, atol=1e-6)
    np.testing.assert_array_equal(distances[:, 0, 1], 0)
    variables = [tf.Variable(a) for a in (dead, half)]
    with tf.GradientTape() as tape:
        loss = ours(variables, [teacher, dead], np.full((2, 2), 0.5, "float32"))
    by_dead, by_half = tape.gradient(loss, variables)
    assert not np.any(by_dead)
    assert not np.any(by_half[1])
    assert np.all(np.isfinite(by_half)) and np.any(by_half[0])


@pytest.mark.parametrize("scale", [1e-15, 1e-6, 1e6, 1e15])
def test_neither_tiny_nor_huge_activations_change_the_map(scale):
    rng = np.random.default_rng(5)
    (a,), (b,) = activations(rng, (3,)), activations(rng, (2,))
    scaled = tf.Variable(a * np.float32(scale))
    with tf.GradientTape() as tape:
        loss = ours([scaled], [b], np.ones((1, 1), "float32"))
    gradient = np.float64(tape.gradient(loss, scaled)) * scale
    assert abs(float(loss) - eq1([a], [b], np.ones((1, 1)))) < 1e-6
    variable = tf.Variable(a)
    with tf.GradientTape() as tape:
        loss = ours([variable], [b], np.ones((1, 1), "float32"))
    np.testing.assert_allclose(gradient, tape.gradient(loss, variable), atol=1e-6)


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_half_precision_activations_are_squared_in_float32(dtype):
    rng = np.random.default_rng(6)
    a = tf.cast(300 * rng.normal(size=(2, *SIZE, 64)), dtype)  # squares overflow float16
    found = attention_map(a)
    assert found.dtype == "float32"
    exact = (np.float64(tf.cast(a, "float32")) ** 2).sum(-1)
    np.testing.assert_allclose(found, exact, rtol=1e-6)
    small = tf.cast(1e-4 * rng.normal(size=(2, *SIZE, 4)), dtype)  # squares underflow float16
    (f,) = unit_maps([small], SIZE)[:, 0][:1].numpy()
    exact = unit((np.float64(tf.cast(small, "float32"))[0] ** 2).sum(-1)).ravel()
    np.testing.assert_allclose(f, exact, atol=1e-6)


def area_average(maps, height, width):
    """Area average by repeating cells until the sizes divide."""
    for axis, target in ((1, height), (2, width)):
        size = maps.shape[axis]
        maps = np.repeat(maps, target, axis=axis)  # size * target cells, `size` for each target
        shape = (*maps.shape[:axis], target, size, *maps.shape[axis + 1 :])
        maps = maps.reshape(shape).mean(axis=axis + 1)
    return maps


@pytest.mark.parametrize(
    ("size", "target"), [((4, 4), (8, 8)), ((5, 7), (7, 8)), ((1, 3), (8, 7)), ((8, 8), (8, 8))]
)
def test_upwards_is_bilinear(size, target):
    maps = np.random.default_rng(7).normal(size=(2, *size)).astype("float32")
    expected = tf.image.resize(maps[..., None], target, method="bilinear")[..., 0]
    np.testing.assert_allclose(resize_map(tf.constant(maps), target), expected, atol=1e-6)


@pytest.mark.parametrize(
    ("size", "target"), [((32, 32), (8, 8)), ((17, 9), (8, 7)), ((112, 13), (7, 5))]
)
def test_downwards_is_the_area_average(size, target):
    maps = np.random.default_rng(8).normal(size=(2, *size))
    found = resize_map(tf.constant(maps.astype("float32")), target)
    np.testing.assert_allclose(found, area_average(maps, *target), atol=1e-6)


def test_one_axis_up_and_one_down():
    maps = np.random.default_rng(9).normal(size=(2, 3, 10)).astype("float32")
    up = tf.image.resize(maps[..., None], (7, 10), method="bilinear")[..., 0].numpy()
    found = resize_map(tf.constant(maps), (7, 4))
    np.testing.assert_allclose(found, area_average(up, 7, 4), atol=1e-6)


@pytest.mark.parametrize("size", range(1, 12))
def test_rows_of_a_resize_matrix_sum_to_one(size):
    for target in range(1, 12):
        np.testing.assert_allclose(resize_matrix(size, target).sum(1), 1, atol=1e-6)


def test_the_common_size_follows_the_images():
    sizes = [default_map_size(shape) for shape in ((32, 32, 3), (224, 224, 3), (8, 8, 1))]
    assert sizes == [(8, 8), (7, 7), (4, 4)]


def test_one_hot_tutors_in_the_training_phase_equal_eq_1():
    rng = np.random.default_rng(10)
    student, teacher = activations(rng, (2, 5, 3)), activations(rng, (4, 1, 2, 7))
    own = [2, 0, 2]
    g = np.eye(4)[own]
    teacher_maps = unit_maps(teacher, SIZE)
    found = tutored_attention_loss(
        unit_maps(student, SIZE), tf.gather(teacher_maps, own, axis=1), n_t=4
    )
    assert abs(float(found) - eq1(student, teacher, g)) < 1e-6


@pytest.mark.parametrize("size", [4, (), (4,), (4, 0), (4.5, 4), (4, 4, 4)])
def test_a_common_size_that_is_none_is_refused(size):
    with pytest.raises(UserError, match=r"map_size is .*e\.g\. \(8, 8\)"):
        common_size(size, (32, 32, 3))


def test_a_common_size_is_the_given_one_or_that_of_the_images():
    assert common_size([4, 6], (32, 32, 3)) == (4, 6)
    assert common_size(None, (32, 32, 3)) == (8, 8)
