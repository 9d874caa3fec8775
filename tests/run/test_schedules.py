"""Learning rates of A.1, epoch by epoch."""

import math

import keras
import numpy as np
import pytest

from rnascl_keras.recipe import Training
from rnascl_keras.run.schedules import learning_rate, sgd

STEPS = 7


def rates(epochs=100, **settings):
    """Return the rate of every step."""
    schedule = learning_rate(Training(epochs=epochs, **settings), STEPS)
    return np.array([float(schedule(step)) for step in range(epochs * STEPS + 1)])


def test_steps_of_a_tenth_after_75_and_90_epochs():
    found = rates(learning_rate=0.1)[:-1].reshape(100, STEPS)
    expected = np.full((100, STEPS), 0.1)
    expected[75:] = 0.01
    expected[90:] = 0.001
    # a boundary's own step still has the rate before it
    np.testing.assert_allclose(
        np.delete(found, [75, 90], 0), np.delete(expected, [75, 90], 0), rtol=1e-5
    )
    np.testing.assert_allclose(found[[75, 90], 1:], expected[[75, 90], 1:], rtol=1e-5)


def test_steps_of_a_tenth_after_given_epochs():
    found = rates(learning_rate=0.1, decay_epochs=(3, 5, 8), epochs=10)
    middle = found[STEPS // 2 :: STEPS]
    np.testing.assert_allclose(middle, [0.1] * 3 + [1e-2] * 2 + [1e-3] * 3 + [1e-4] * 2, rtol=1e-5)


def test_a_rate_without_steps_stays():
    np.testing.assert_allclose(rates(learning_rate=0.1, decay_epochs=(), epochs=3), 0.1, rtol=1e-6)


def test_the_norm_of_all_gradients_together_is_bounded():
    variables = [keras.Variable(np.zeros(2, "f4")), keras.Variable(np.zeros(1, "f4"))]
    settings = Training(epochs=1, learning_rate=1, clip_norm=2.5, momentum=0)
    sgd(settings, STEPS).apply([np.array([3.0, 0], "f4"), np.array([4.0], "f4")], variables)
    moved = np.concatenate([-v.numpy() for v in variables])
    np.testing.assert_allclose(moved, [1.5, 0, 2], rtol=1e-5)


def test_a_cosine_down_to_zero():
    found = rates(20, learning_rate=0.05, schedule="cosine")
    steps = np.arange(20 * STEPS + 1)
    expected = 0.05 * 0.5 * (1 + np.cos(math.pi * steps / (20 * STEPS)))
    np.testing.assert_allclose(found, expected, atol=1e-8)


def test_one_cycle_up_in_40_percent_and_down_to_zero():
    found = rates(10, learning_rate=0.2, schedule="one_cycle")
    top = round(0.4 * 10 * STEPS)
    np.testing.assert_allclose(found[: top + 1], np.linspace(0, 0.2, top + 1), atol=1e-7)
    assert found[-1] == pytest.approx(0, abs=1e-8)
    assert np.all(np.diff(found[top:]) < 0)
    assert found.argmax() == top


@pytest.mark.parametrize("schedule", ["step", "cosine", "one_cycle"])
def test_the_shortest_trainings(schedule):
    for epochs in (1, 2, 3):
        found = rates(epochs, schedule=schedule, learning_rate=0.1)
        assert np.all(np.isfinite(found)) and found.max() <= 0.1 + 1e-6
        assert found.max() > 0.09


def test_sgd_has_no_decoupled_decay():
    optimizer = sgd(Training(momentum=0.8, weight_decay=0.1), STEPS)
    assert optimizer.momentum == 0.8 and not optimizer.nesterov
    assert optimizer.weight_decay is None
