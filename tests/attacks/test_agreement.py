"""Whether a twin of a network says its classes: rounding between tied classes is no difference."""

import numpy as np
import pytest

from rnascl_keras.attacks.verdict import agreement


def rows(*logits):
    return np.array(logits, np.float32)


def test_the_same_classes_agree_and_others_do_not():
    own = rows([3, 0, 1], [0, 2, 1], [0, 0, 4], [1, 0, 0])
    assert agreement(own / 2, own) == 1
    assert agreement(own[:, ::-1], own) == 0.25  # the second image's alone is in the middle


def test_a_class_that_ties_with_the_largest_is_the_networks_own():
    # an int8 output whose two classes get one whole number, of a network that has learned nothing
    own = np.tile(rows([0.0, 0.5, 0.5, -1.2]), (50, 1))
    twin = own + rows([0.0, 0.0, 1e-3, 0.0])
    assert twin.argmax(-1)[0] == 2 and own.argmax(-1)[0] == 1
    assert agreement(twin, own) == 1
    assert agreement(own + rows([0.7, 0.0, 0.0, 0.0]), own) == 0


@pytest.mark.parametrize(("step", "expected"), [(2 / 255, 1.0), (8 / 255, 0.0)])
def test_a_few_whole_numbers_of_int8_are_a_tie(step, expected):
    own = rows([1, 1 - step, 0])
    assert agreement(own[:, [1, 0, 2]], own) == expected


def test_no_class_agrees_with_no_class_alone():
    own = rows([np.nan, 0], [np.inf, 0], [1, -np.inf], [1, 0])
    assert agreement(own, own) == 1
    assert agreement(rows([0, 0], [0, 0], [1, 0], [np.nan, 0]), own) == 0.25
    assert agreement(own[:2], own[:2]) == 1
