"""A supernet with one-hot choices is its derived student: logits and every tapped map."""

from dataclasses import replace

import keras
import numpy as np
import pytest
import tensorflow as tf
from tiny_models import dtype_policy

from rnascl_keras.method.architecture import Architecture
from rnascl_keras.method.attention import attention_map
from rnascl_keras.method.blocks import fit_channels
from rnascl_keras.method.derive import copy_sliced_weights
from rnascl_keras.method.spaces import SPACES, SearchSpace, Stage
from rnascl_keras.method.supernet import Supernet
from rnascl_keras.method.taps import tap

# strides of 1 and 2 at the stage's start, a head, and widths of one channel
OWN = SearchSpace(
    "own", (Stage(3, (7, 1, 4), stride=1), Stage(3, (3, 9, 5))), 5, stem_stride=2, head_width=11
)
SMOOTH = replace(OWN, name="smooth", activation="silu", squeeze_excite=0.4)
CASES = [
    pytest.param(SPACES["S3"], (32, 32, 3), 1, id="S3"),
    pytest.param(SPACES["M"], (16, 16, 3), 2, id="M"),
    pytest.param(SPACES["IS"], (64, 64, 3), 4, id="IS"),
    pytest.param(OWN, (13, 10, 1), 6, id="own-0"),
    pytest.param(OWN, (13, 10, 1), 7, id="own-1"),
    pytest.param(SMOOTH, (13, 10, 1), 8, id="smooth"),
]


def randomize(model, rng):
    """Give every batch normalisation random scales, offsets and statistics."""
    for layer in model.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            n = layer.gamma.shape
            layer.set_weights(
                [
                    rng.uniform(0.5, 1.5, n) * rng.choice([-1, 1], n),
                    rng.normal(0, 0.5, n),
                    rng.normal(0, 0.5, n),
                    rng.uniform(0.5, 2, n),
                ]
            )


def choose(supernet, rng, apart=1.0):
    """Set random choices, neighbours of different widths; return the widths of each stage."""
    rows, choices = [], iter(supernet.choices)
    for stage in supernet.space.stages:
        row = []
        for position in range(stage.depth):
            others = [w for w in stage.widths if not row or w != row[-1]]
            row.append(int(rng.choice(others)))
            # in the space's own order, which need not be from wide to narrow
            logits = rng.normal(0, 0.1, len(stage.widths))
            logits[stage.widths.index(row[position])] = apart
            next(choices).logits.assign(logits)
        rows.append(row)
    return rows


def supernet_and_student(space, image, seed, apart=1.0):
    rng = np.random.default_rng(seed)
    keras.utils.set_random_seed(seed)
    supernet = Supernet(space, image, 10, seed=seed)
    randomize(supernet, rng)
    widths = choose(supernet, rng, apart)
    student = Architecture(space, widths, (), "", image, 10).build()
    copy_sliced_weights(supernet, student)
    images = rng.uniform(size=(6, *image)).astype("float32")
    return supernet, student, images


def check_same(ours, theirs):
    ours, theirs = np.asarray(ours), np.asarray(theirs)
    assert ours.shape == theirs.shape
    largest = np.abs(theirs).max()
    assert largest > 0
    assert np.abs(ours - theirs).max() <= 1e-5 * largest


def check_same_everywhere(supernet, student, images, training):
    whole, part = tap(supernet), tap(student)
    assert whole.names == part.names
    assert len(part.names) == 1 + 3 * sum(supernet.space.depths) + bool(supernet.space.head_width)
    logits, activations, _ = whole(images, training=training)
    student_logits, student_activations, _ = part(images, training=training)
    check_same(logits, student_logits)
    for ours, theirs in zip(activations, student_activations, strict=True):
        check_same(attention_map(ours), attention_map(theirs))
        kept = theirs.shape[-1]
        check_same(ours[..., :kept], theirs)
        assert not np.any(ours[..., kept:])


@pytest.mark.parametrize(("space", "image", "seed"), CASES)
def test_in_inference_mode(space, image, seed):
    check_same_everywhere(*supernet_and_student(space, image, seed), training=False)


@pytest.mark.parametrize(("space", "image", "seed"), CASES)
def test_in_training_mode(space, image, seed):
    supernet, student, images = supernet_and_student(space, image, seed, apart=1e4)
    check_same_everywhere(supernet, student, images, training=True)
    # the moving statistics went along
    for layer in student.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            n = layer.gamma.shape[0]
            shared = supernet.get_layer(layer.name)
            check_same(shared.moving_mean[:n], layer.moving_mean)
            check_same(shared.moving_variance[:n], layer.moving_variance)


def test_the_gradients_are_the_students_too():
    supernet, student, images = supernet_and_student(OWN, (13, 10, 1), 8, apart=1e4)
    grads = {}
    for model in (supernet, student):
        variables = {v.path.removeprefix(f"{model.name}/"): v for v in model.trainable_variables}
        with tf.GradientTape() as tape:
            loss = tf.reduce_sum(model(images, training=True) * np.arange(10, dtype="float32"))
        grads[model.name] = dict(
            zip(variables, tape.gradient(loss, list(variables.values())), strict=True)
        )
    largest = max(np.abs(g).max() for g in grads["student"].values())
    for path, gradient in grads["student"].items():
        kept = tuple(slice(0, n) for n in gradient.shape)
        difference = np.abs(grads["supernet"][path][kept] - gradient).max()
        assert difference <= 1e-5 * largest, path


def test_a_soft_choice_is_not_its_student():
    supernet, student, images = supernet_and_student(OWN, (13, 10, 1), 9)
    soft = supernet(images, training=True)  # temperature 5
    hard = student(images, training=True)
    assert np.abs(soft - hard).max() > 1e-2 * np.abs(hard).max()


def test_strides_halve_the_first_block_of_a_stage_only():
    sides = [tuple(x.shape[1:3]) for x in tap(Supernet("S3"), "block").model.outputs[1:]]
    assert sides == [(16, 16)] * 3 + [(8, 8)] * 3 + [(4, 4)] * 3


@pytest.mark.parametrize("channels", [2, 4, 7])
def test_fit_channels(channels):
    x = np.random.default_rng(0).normal(size=(2, 3, 3, 4)).astype("float32")
    found = np.asarray(fit_channels(tf.constant(x), channels))
    expected = np.zeros((2, 3, 3, channels), "float32")
    expected[..., : min(4, channels)] = x[..., :channels]
    np.testing.assert_array_equal(found, expected)


def test_a_supernet_is_saved_and_loaded_whole(tmp_path):
    supernet, _, images = supernet_and_student(OWN, (13, 10, 1), 10)
    supernet.save(tmp_path / "supernet.keras")
    again = keras.models.load_model(tmp_path / "supernet.keras")
    assert isinstance(again, Supernet)
    assert again.get_config() == supernet.get_config() and again.space == OWN
    np.testing.assert_array_equal(again(images), supernet(images))
    for ours, theirs in zip(again.choices, supernet.choices, strict=True):
        np.testing.assert_array_equal(ours.logits, theirs.logits)


def test_bfloat16_students_give_float32_logits():
    with dtype_policy("mixed_bfloat16"):
        supernet, student, images = supernet_and_student(OWN, (13, 10, 1), 11)
    for model in (supernet, student):
        assert model(images).dtype == "float32"
        assert model.get_layer("stage1_block1_expand").compute_dtype == "bfloat16"
