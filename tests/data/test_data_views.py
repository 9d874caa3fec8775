"""Views: what happens to an image repeats after a number of epochs, and can be had in order."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import tensorflow as tf
from sample_images import collect, numbered, save_images

from rnascl_keras.data import AUGMENTATIONS, ImageData, load_data
from rnascl_keras.data.pixels import ArrayPixels
from rnascl_keras.errors import UserError


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    root = tmp_path_factory.mktemp("data") / "images"
    for split in ("train", "val"):
        save_images(root / split / "ant", 4)
        save_images(root / split / "bee", 3, "jpg")
    return root


def from_files(folder):
    return load_data(str(folder), image_size=12).train


def by_image(data, batches):
    """Return labels and images in the order of `indices`."""
    found = {}
    for images, labels, indices, _ in batches:
        found.update(zip(indices.tolist(), zip(labels.tolist(), images, strict=True), strict=True))
    assert sorted(found) == list(range(len(data)))
    return [found[i] for i in range(len(data))]


def indexed(data, batches, batch_size, **options):
    dataset = data.training_batches(batch_size, indexed=True, **options)
    return list(dataset.take(batches).as_numpy_iterator())


@pytest.mark.parametrize("source", ["bytes", "floats", "files"])
@pytest.mark.parametrize("augmentation", AUGMENTATIONS)
def test_a_view_in_order_has_the_bits_of_training(source, augmentation, folder):
    """Epochs 0 to 3 of training with two views, each image found by its index."""
    types = {"bytes": np.uint8, "floats": np.float32}
    data = from_files(folder) if source == "files" else numbered(7, dtype=types[source])
    options = {"augmentation": augmentation, "seed": 5}
    batches = indexed(data, 4 * 7, 1, views=2, **options)
    views = []
    for view in (0, 1):
        parts = [
            data.view_batches(view, 2, start=start, stop=stop, **options)
            for start, stop in ((0, 3), (3, None))  # whatever blocks it is made in
        ]
        pairs = [pair for part in parts for pair in part.as_numpy_iterator()]
        views.append(np.concatenate([images for images, _ in pairs]))
        np.testing.assert_array_equal(np.concatenate([y for _, y in pairs]), data.labels)
    for epoch in range(4):
        part = batches[7 * epoch : 7 * epoch + 7]
        assert all(set(view) == {epoch % 2} for *_, view in part)
        for i, (label, image) in enumerate(by_image(data, part)):
            np.testing.assert_array_equal(image, views[epoch % 2][i])
            assert label == data.labels[i]
    if augmentation != "crop_flip_cutout":  # its square can cover images as small as these
        assert (augmentation == "none") == np.array_equal(*views)


def test_epochs_of_the_same_view_have_orders_of_their_own():
    data = numbered(9)
    batches = indexed(data, 12, 3, views=2, augmentation="crop_flip")
    orders = [np.concatenate([b[2] for b in batches[k : k + 3]]) for k in (0, 3, 6, 9)]
    assert len({tuple(order) for order in orders}) == 4
    assert batches[0][2].dtype == batches[0][3].dtype == np.int64


def test_without_views_or_with_enough_of_them_nothing_changes():
    """Against NumPy, from TensorFlow's random numbers as they have always been drawn."""
    data = numbered(10)
    options = {"augmentation": "shift", "seed": 3}
    found = collect(data, 9, 3, **options)
    for same in (collect(data, 9, 3, views=3, **options), indexed(data, 9, 3, **options)):
        for one, other in zip(found, same, strict=True):
            for a, b in zip(one, other, strict=False):
                np.testing.assert_array_equal(a, b)
    padded = np.pad(data.pixels.array, ((0, 0), (1, 1), (1, 1), (0, 0))) / np.float32(255)
    for epoch in range(3):
        seeds = tf.random.split(tf.constant([3, epoch], tf.int64), 2)
        keys = tf.random.stateless_uniform([10], seeds[0], 0, 2**62, tf.int64)
        places = (tf.random.stateless_uniform([10, 3], seeds[1]).numpy() * 3).astype(int)
        images, labels = (np.concatenate(x) for x in zip(*found[3 * epoch :][:3], strict=True))
        np.testing.assert_array_equal(labels, np.argsort(keys)[:9])
        for image, i in zip(images, labels, strict=True):
            top, left = places[i, :2]
            np.testing.assert_array_equal(image, padded[i, top : top + 8, left : left + 8])


def test_starting_at_an_epoch_continues_the_views():
    data = numbered(6)
    options = {"augmentation": "crop_flip", "views": 2}
    whole, resumed = indexed(data, 12, 2, **options), indexed(data, 6, 2, first_epoch=2, **options)
    for one, other in zip(whole[6:], resumed, strict=True):
        for a, b in zip(one, other, strict=True):
            np.testing.assert_array_equal(a, b)


def changed(data, **changes):
    return dataclasses.replace(data, **changes)


def test_the_fingerprint_knows_every_pixel_label_and_name():
    data = numbered(5)
    assert data.fingerprint() == changed(data).fingerprint()
    pixels = data.pixels.array.copy()
    pixels[4, 7, 7, 2] ^= 1
    others = [
        changed(data, pixels=ArrayPixels(pixels)),
        changed(data, pixels=ArrayPixels(data.pixels.array.astype(np.float32))),
        changed(data, labels=data.labels[::-1]),
        changed(data, class_names=tuple("vwxyz")),
        data.take(4),
    ]
    assert len({d.fingerprint() for d in [data, *others]}) == 6
    reversed_ = ImageData(ArrayPixels(data.pixels.array[::-1]), data.labels, data.class_names)
    assert reversed_.fingerprint() != data.fingerprint()


def test_the_fingerprint_of_files_is_of_their_names_and_sizes(folder, tmp_path):
    data = from_files(folder)
    before = data.fingerprint()
    elsewhere = folder.parent / "elsewhere"
    folder.rename(elsewhere)
    try:
        assert from_files(elsewhere).fingerprint() == before
        assert load_data(str(elsewhere), image_size=13).train.fingerprint() != before
        with pytest.raises(UserError, match=r"cannot be read: No such file"):
            data.fingerprint()
        path = elsewhere / "train" / "bee" / "0.jpg"
        path.write_bytes(path.read_bytes() + b"\0")
        assert from_files(elsewhere).fingerprint() != before
        path.write_bytes(path.read_bytes()[:-1])
        path.rename(path.with_name("9.jpg"))
        assert from_files(elsewhere).fingerprint() != before
        path.with_name("9.jpg").rename(path)
    finally:
        elsewhere.rename(folder)
    assert from_files(folder).fingerprint() == before


def test_less_than_one_view_is_refused():
    with pytest.raises(UserError, match="views must be at least 1, not 0"):
        numbered(4).training_batches(2, views=0)


@pytest.mark.parametrize("kind", ["uint8", "float32"])
def test_images_are_read_where_they_lie(kind):
    """Of 0.3 TB and more, which no memory holds twice: one image, shown a hundred thousand times
    over, of which only those of a batch are ever read."""
    n = 100_000
    image = np.arange(10**6, dtype=kind).reshape(1, 1000, 1000, 1) % 2
    everything = np.broadcast_to(image, (n, 1000, 1000, 1))
    data = ImageData(ArrayPixels(everything), np.arange(n) % 3, ("a", "b", "c"))
    batches = list(data.view_batches(0, 2, start=n // 2, stop=n // 2 + 3).as_numpy_iterator())
    images, labels = (np.concatenate(parts) for parts in zip(*batches, strict=True))
    expected = image / np.float32(255) if kind == "uint8" else image
    np.testing.assert_array_equal(images, np.repeat(expected, 3, axis=0))
    np.testing.assert_array_equal(labels, np.arange(n // 2, n // 2 + 3) % 3)
