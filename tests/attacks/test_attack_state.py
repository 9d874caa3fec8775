"""What an attack's state keeps of the images that are still attacked."""

from dataclasses import dataclass

import numpy as np
import pytest

from rnascl_keras.attacks.state import State, per_image


@dataclass(slots=True)
class Remembering(State):
    momentum: np.ndarray = per_image()
    never_set: np.ndarray = per_image()
    table: np.ndarray = None


def state_of(count):
    numbers = np.arange(count)
    return Remembering(
        classifier=None,
        rows=numbers,
        images=numbers[:, None, None, None] / 10.0,
        labels=numbers,
        targets=-numbers,
        generators=np.array([np.random.default_rng(k) for k in numbers]),
        restart=numbers,
    )


def test_declared_arrays_lose_the_rows_of_images_that_fall_and_nothing_else_does():
    state = state_of(4)
    state.momentum, state.table = 10 * np.arange(4), np.arange(4)
    state.keep(np.array([True, False, False, True]))
    assert len(state) == 2 and state.rows.tolist() == [0, 3]
    for found in (state.images, state.x, state.best_x):
        assert found.ravel().tolist() == [0.0, 0.3]
    assert state.targets.tolist() == [0, -3] and state.momentum.tolist() == [0, 30]
    assert state.generators[1].random() == np.random.default_rng(3).random()
    assert state.table.tolist() == [0, 1, 2, 3] and state.never_set is state.gradient is None


def test_an_array_that_is_not_declared_is_refused():
    with pytest.raises(AttributeError, match="velocity"):
        state_of(2).velocity = np.zeros(2)
