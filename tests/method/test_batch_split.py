"""How a batch of the search is split, its size being known before or not."""

import pytest
import tensorflow as tf
from tiny_models import IMAGE

from rnascl_keras.method.batch_split import weight_images


@pytest.mark.parametrize(
    ("size", "fraction", "first"),
    [
        (2, 0.2, 1),
        (3, 0.2, 2),
        (5, 0.2, 4),
        (128, 0.2, 102),
        (4, 0.99, 1),
        (4, 0.01, 3),
        (10, 0.5, 5),
    ],
)
def test_every_batch_is_split_into_two_parts_that_hold_something(size, fraction, first):
    assert int(weight_images(tf.zeros((size, *IMAGE)), fraction)) == first


@pytest.mark.parametrize("fraction", [0.2, 0.5, 0.33])
def test_a_size_that_is_not_known_before_is_split_alike(fraction):
    unknown = tf.TensorSpec((None, *IMAGE))
    split = tf.function(lambda x: weight_images(x, fraction), input_signature=[unknown])
    for size in range(2, 200):
        images = tf.zeros((size, *IMAGE))
        assert int(split(images)) == weight_images(images, fraction), size
