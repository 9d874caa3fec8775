"""One split: order, epochs, augmentation's randomness, slices; users' mistakes."""

from __future__ import annotations

import numpy as np
import pytest
from sample_images import collect, numbered

from rnascl_keras.data import AUGMENTATIONS
from rnascl_keras.errors import UserError


@pytest.mark.parametrize("dtype", [np.uint8, np.float32])
def test_batches_come_in_order_and_equal_first(dtype):
    data = numbered(10, dtype=dtype)
    batches = list(data.batches(4).as_numpy_iterator())
    assert [len(y) for _, y in batches] == [4, 4, 2]
    x = np.concatenate([x for x, _ in batches])
    y = np.concatenate([y for _, y in batches])
    first_x, first_y = data.first(10)
    expected = data.pixels.array / (255 if dtype == np.uint8 else 1)
    assert x.dtype == first_x.dtype == np.float32 and y.dtype == first_y.dtype == np.int64
    np.testing.assert_array_equal(x, first_x)
    np.testing.assert_array_equal(y, np.arange(10))
    np.testing.assert_allclose(x, expected, atol=1e-7, rtol=0)


def test_an_epoch_shows_no_image_twice_and_epochs_differ():
    data = numbered(10)
    seen = [y for _, y in collect(data, 9, 3)]
    assert data.steps_per_epoch(3) == 3
    epochs = [np.concatenate(seen[i : i + 3]) for i in (0, 3, 6)]
    assert all(len(set(epoch)) == 9 for epoch in epochs)
    assert len({tuple(epoch) for epoch in epochs}) == 3
    assert data.training_batches(3).element_spec[0].shape == (3, 8, 8, 3)


def test_unaugmented_training_images_are_the_stored_ones():
    data = numbered(12, dtype=np.float32)
    for x, y in collect(data, 3, 4):
        np.testing.assert_array_equal(x, data.pixels.array[y])


@pytest.mark.parametrize("augmentation", AUGMENTATIONS)
def test_starting_at_an_epoch_continues_the_uninterrupted_run(augmentation):
    data = numbered(9)
    whole = collect(data, 12, 2, augmentation=augmentation, seed=5)
    resumed = collect(data, 8, 2, augmentation=augmentation, seed=5, first_epoch=1)
    for (x, y), (x_again, y_again) in zip(whole[4:], resumed, strict=True):
        np.testing.assert_array_equal(y, y_again)
        np.testing.assert_array_equal(x, x_again)
    other_seed = collect(data, 4, 2, augmentation=augmentation, seed=6)
    assert any((a[1] != b[1]).any() for a, b in zip(whole, other_seed, strict=False))


@pytest.mark.parametrize("augmentation", ["crop_flip", "resized_crop_flip"])
def test_augmentation_depends_on_the_image_and_epoch_only(augmentation):
    data = numbered(16)

    def by_image(batch_size: int, epoch: int) -> np.ndarray:
        batches = collect(
            data, 16 // batch_size, batch_size, augmentation=augmentation, first_epoch=epoch
        )
        images = np.empty((16, 8, 8, 3), np.float32)
        for x, y in batches:
            images[y] = x
        return images

    np.testing.assert_array_equal(by_image(4, 3), by_image(8, 3))
    assert (by_image(4, 3) != by_image(4, 4)).any(axis=(1, 2, 3)).sum() >= 12


def test_shuffling_is_uniform_over_the_permutations():
    data = numbered(3)
    orders = [tuple(y) for _, y in collect(data, 600, 3)]
    counts = np.array([orders.count(order) for order in set(orders)])
    assert len(counts) == 6
    # chi-squared with 5 degrees of freedom: 20.5 is the 99.9 % quantile
    assert ((counts - 100) ** 2 / 100).sum() < 20.5


def test_slices():
    data = numbered(10)
    rest, last = data.split_last(3)
    assert (len(rest), len(last)) == (7, 3)
    np.testing.assert_array_equal(last.first(3)[0], data.first(10)[0][7:])
    np.testing.assert_array_equal(rest.take(2).labels, [0, 1])
    assert last.classes == 10 and last.input_shape == (8, 8, 3)
    with pytest.raises(ValueError, match="read-only"):
        data.labels[0] = 1


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda d: d.first(11), "11 images were asked for, but the split has 10"),
        (lambda d: d.take(0), "at least 1"),
        (lambda d: d.split_last(10), "cannot be split off"),
        (lambda d: d.training_batches(11), "batch_size=11"),
        (lambda d: d.batches(0), "at least 1"),
        (lambda d: d.training_batches(2, augmentation="crop_flop"), "Did you mean 'crop_flip'"),
    ],
)
def test_mistakes_with_a_split(call, words):
    with pytest.raises(UserError, match=words):
        call(numbered(10))
