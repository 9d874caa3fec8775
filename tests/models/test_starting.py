"""A network for other images and classes that starts from another's weights."""

from __future__ import annotations

import keras
import numpy as np
import pytest

from rnascl_keras import Architecture
from rnascl_keras.errors import UserError
from rnascl_keras.method.spaces import SearchSpace, Stage
from rnascl_keras.models.saving import load_model, save_model
from rnascl_keras.models.starting import for_other_images, start_from
from rnascl_keras.teachers import build_teacher

SMALL = {"input_shape": (16, 16, 3), "classes": 10}


def moved(model, seed=0):
    """Give a model's variables values that no initialiser gives."""
    generator = np.random.default_rng(seed)
    for v in model.variables:
        v.assign(v + generator.uniform(-0.02, 0.02, v.shape))
    return model


@pytest.fixture(scope="module")
def robust():
    """A teacher with strided shortcuts and a normalisation, as if it had been trained."""
    normalisation = {"mean": (0.5, 0.4, 0.3), "std": (0.2, 0.2, 0.3)}
    return moved(build_teacher("resnet20", width=4, **SMALL, **normalisation))


def features(model, images):
    return keras.Model(model.inputs[0], model.layers[-2].output)(images).numpy()


def test_other_classes_get_a_new_head_and_the_same_features(robust):
    network = for_other_images(robust, (16, 16, 3), 3)
    assert network.output_shape == (None, 3)
    started = start_from(network, robust)
    images = np.random.default_rng(1).uniform(size=(4, 16, 16, 3)).astype("float32")
    np.testing.assert_allclose(features(network, images), features(robust, images), atol=1e-5)
    total = len(robust.weights)
    assert (started.taken, started.cut, started.total) == (total - 2, 0, total)
    assert str(started) == f"{total - 2} of {total} tensors are taken; new are those of logits"


def test_images_of_another_size_are_taken(robust):
    """Of an image that repeats a tile, inner features repeat too: means over them are near."""
    network = for_other_images(robust, (48, 32, 3), 10)
    assert start_from(network, robust).new == ()
    assert network.input_shape == (None, 48, 32, 3)
    flat = np.full((1, 48, 32, 3), 0.5, "float32")
    kernels = [layer.get_weights() for layer in network.layers if layer.get_weights()]
    theirs = [layer.get_weights() for layer in robust.layers if layer.get_weights()]
    for ours, others in zip(kernels, theirs, strict=True):
        for a, b in zip(ours, others, strict=True):
            np.testing.assert_array_equal(a, b)
    assert np.isfinite(network(flat)).all()


def test_a_grey_image_is_seen_as_the_same_in_colour(robust):
    source = moved(build_teacher("resnet20", width=4, **SMALL))
    network = for_other_images(source, (16, 16, 1), 10)
    assert start_from(network, source).new == ()
    grey = np.random.default_rng(2).uniform(size=(3, 16, 16, 1)).astype("float32")
    np.testing.assert_allclose(network(grey), source(np.repeat(grey, 3, -1)), atol=1e-4)


def test_the_new_network_shares_nothing_with_the_old(robust):
    before = [v.numpy().copy() for v in robust.variables]
    network = for_other_images(robust, (16, 16, 3), 10)
    start_from(network, robust)
    moved(network, seed=3)
    assert all(np.array_equal(v, b) for v, b in zip(robust.variables, before, strict=True))


def test_a_student_starts_from_one_of_other_classes(tmp_path):
    space = SearchSpace("tiny", (Stage(2, (8, 6)),), stem_width=8)
    widths = [[8, 6]]
    source = moved(Architecture(space, widths, input_shape=(8, 8, 3)).build())
    save_model(source, tmp_path / "source.keras")
    student = Architecture(space, widths, input_shape=(12, 12, 3), classes=4).build()
    started = start_from(student, load_model(tmp_path / "source.keras"))
    assert started.total - started.taken == 2 and len(started.new) == 1
    again = for_other_images(source, (12, 12, 3), 4)
    assert [v.shape for v in again.variables] == [v.shape for v in student.variables]


def test_a_narrower_student_takes_the_first_channels_as_of_a_supernet():
    """Their functions are one where the wider one's further channels are switched off."""
    space = SearchSpace("tiny", (Stage(2, (8, 6), stride=1),), stem_width=8)
    images = {"input_shape": (8, 8, 3), "classes": 4}
    wide = Architecture(space, [[8, 8]], **images).build()
    for k, v in enumerate(wide.variables):
        v.assign(np.abs(np.random.default_rng(k).normal(size=v.shape)) / 9 + 0.1)
    narrow = Architecture(space, [[6, 6]], **images).build()
    started = start_from(narrow, wide)
    assert started.taken == started.total and started.new == ()
    assert 0 < started.cut < started.total
    for layer in narrow.layers:
        for own, theirs in zip(layer.weights, wide.get_layer(layer.name).weights, strict=True):
            first = tuple(slice(0, n) for n in own.shape)
            np.testing.assert_array_equal(own, theirs.numpy()[first])
    wider = Architecture(space, [[6, 8]], **images).build()
    new = start_from(wider, narrow).new
    assert new and all(name.startswith(("stage1_block2", "logits", "classifier")) for name in new)


def test_a_final_softmax_is_left_out_and_the_file_loads(tmp_path):
    x = keras.Input((8, 8, 3))
    y = keras.layers.GlobalAveragePooling2D()(keras.layers.Conv2D(4, 3, name="c")(x))
    source = keras.Model(x, keras.layers.Dense(5, activation="softmax")(y))
    network = for_other_images(source, (10, 10, 3), 2)
    start_from(network, source)
    network.save(tmp_path / "n.keras")
    images = np.random.default_rng(0).uniform(size=(2, 10, 10, 3)).astype("float32")
    loaded = keras.models.load_model(tmp_path / "n.keras")
    np.testing.assert_allclose(loaded(images), network(images), atol=1e-6)
    assert np.any(network(images).numpy().sum(-1) != 1)


def test_what_cannot_be_started_from_is_refused(robust):
    other = build_teacher("digits_cnn", **SMALL)
    with pytest.raises(UserError, match=r"^mine is of another architecture .*: 0 of 22 tensors"):
        start_from(
            other, build_teacher("resnet20", width=4, input_shape=(16, 16, 3), classes=9), "mine"
        )
    x = keras.Input((8, 8, 3))
    pooled = keras.Model(x, keras.layers.GlobalAveragePooling2D()(keras.layers.Conv2D(4, 3)(x)))
    with pytest.raises(UserError, match="ends in GlobalAveragePooling2D"):
        for_other_images(pooled, (8, 8, 3), 3)
    fixed = keras.layers.Dense(3)(keras.layers.Reshape((64 * 3,))(x))
    with pytest.raises(UserError, match="cannot be made for images of 9 x 9 x 3"):
        for_other_images(keras.Model(x, fixed), (9, 9, 3), 3)
    spoiled = for_other_images(robust, (16, 16, 3), 10)
    spoiled.layers[2].set_weights([w * np.nan for w in spoiled.layers[2].get_weights()])
    with pytest.raises(UserError, match="NaN"):
        start_from(other, spoiled)
