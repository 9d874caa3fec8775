"""Fused batch normalisation computes what Keras' own does, to rounding."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from rnascl_keras.models.fused_batch_norm import fuse_batch_norm


def normalised(**options):
    images = keras.Input((6, 5, 3))
    x = keras.layers.Conv2D(4, 3, use_bias=False)(images)
    x = keras.layers.BatchNormalization(momentum=0.9, epsilon=1e-5, name="bn", **options)(x)
    return keras.Model(images, keras.layers.GlobalAveragePooling2D()(x**3))


def alike(**options):
    """A model of Keras' own kernel, and one of the same weights with the fused one."""
    own, fused = normalised(**options), normalised(**options)
    draw = np.random.default_rng(3)
    values = [draw.uniform(0.5, 1.5, w.shape).astype("f") for w in own.weights]
    own.set_weights(values)
    fused.set_weights(values)
    fuse_batch_norm(fused)
    return own, fused


@pytest.fixture(params=[1, 7])
def images(request):
    draw = np.random.default_rng(request.param)
    return tf.constant(draw.normal(size=(request.param, 6, 5, 3)).astype("f") + 2)


def trained(model, images):
    """What a step in training gives: outputs, gradients, moving statistics."""
    with tf.GradientTape() as tape:
        tape.watch(images)
        outputs = model(images, training=True)
        loss = tf.reduce_sum(outputs**2)
    slopes = tape.gradient(loss, [images, *model.trainable_variables])
    return [outputs, *slopes, *model.non_trainable_variables]


def slopes_of_slopes(outputs, images, weights):
    """How steep the squared norms of a loss's gradients are: by what they are of, each by all."""
    sources = [images, *weights]
    with tf.GradientTape(persistent=True) as outer:
        outer.watch(sources)
        with tf.GradientTape() as inner:
            inner.watch(sources)
            loss = tf.reduce_sum(outputs(images) ** 2)
        norms = [tf.reduce_sum(slope**2) for slope in inner.gradient(loss, sources)]
    return [outer.gradient(norm, sources, unconnected_gradients="zero") for norm in norms]


@pytest.mark.parametrize("options", [{}, {"scale": False}, {"center": False}])
def test_a_step_in_training_is_the_same(images, options):
    own, fused = alike(**options)
    for ours, theirs in zip(trained(fused, images), trained(own, images), strict=True):
        ours, theirs = np.array(ours), np.array(theirs)
        np.testing.assert_allclose(ours, theirs, rtol=2e-4, atol=2e-5 * np.abs(theirs).max())


def test_a_gradient_of_a_gradient_is_right_which_keras_own_is_not(images):
    own, fused = alike()
    kernel, scale, offset = (tf.constant(np.array(w), "float64") for w in own.trainable_variables)

    def by_hand(images):
        x = tf.nn.conv2d(images, kernel, 1, "VALID")
        mean = tf.reduce_mean(x, (0, 1, 2))
        variance = tf.reduce_mean((x - mean) ** 2, (0, 1, 2))
        x = (x - mean) / tf.sqrt(variance + 1e-5) * scale + offset
        return tf.reduce_mean(x**3, (1, 2))

    images_64 = tf.cast(images, "float64")
    by_hand_slopes = slopes_of_slopes(by_hand, images_64, [kernel, scale, offset])
    expected = [[slope.numpy() for slope in row] for row in by_hand_slopes]
    error = {}
    for name, model in (("own", own), ("fused", fused)):
        weights = [w.value for w in model.trainable_variables]
        found = slopes_of_slopes(lambda x, m=model: m(x, training=True), images, weights)
        error[name] = [
            [np.abs(a.numpy() - b).max() / np.abs(b).max() for a, b in zip(*rows, strict=True)]
            for rows in zip(found, expected, strict=True)
        ]
    assert np.max(error["fused"]) < 1e-4 < 1e-3 < np.max(error["own"]), error


def test_it_is_the_fused_kernel_that_trains(images):
    own, fused = alike()
    for model, expected in ((own, False), (fused, True)):
        step = tf.function(lambda x, model=model: model(x, training=True))
        graph = step.get_concrete_function(images).graph
        assert any(op.type == "FusedBatchNormV3" for op in graph.get_operations()) == expected


def test_inference_frozen_layers_and_what_is_saved_stay_keras_own(images, tmp_path):
    own, fused = alike()
    np.testing.assert_array_equal(fused(images), own(images))
    own.get_layer("bn").trainable = fused.get_layer("bn").trainable = False
    np.testing.assert_array_equal(fused(images, training=True), own(images, training=True))
    fused.save(tmp_path / "fused.keras")
    back = keras.models.load_model(tmp_path / "fused.keras")
    assert type(back.get_layer("bn")) is keras.layers.BatchNormalization
    np.testing.assert_array_equal(back(images), own(images))


@pytest.mark.parametrize("mean", [0.0, 50.0, 1000.0])
def test_a_channel_that_hardly_varies_is_normalised_under_xla(mean):
    """Which takes the variance as a difference of large numbers."""
    values = keras.Input((5, 5, 2))
    layer = keras.layers.BatchNormalization(momentum=0.5)
    model = keras.Model(values, layer(values))
    fuse_batch_norm(model)
    draw = np.random.default_rng(0).normal(size=(4, 5, 5, 2))
    draw[..., 0] = 0
    images = (mean + draw).astype("f")
    found = tf.function(lambda x: model(x, training=True), jit_compile=True)(images)
    wide = images.astype("float64")
    centred = wide - wide.mean((0, 1, 2))
    expected = centred / np.sqrt((centred**2).mean((0, 1, 2)) + 1e-3)
    np.testing.assert_allclose(found, expected, atol=1e-3)
    np.testing.assert_allclose(layer.moving_mean, wide.mean((0, 1, 2)) / 2, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(
        layer.moving_variance, [0.5, 0.5 + wide[..., 1].var() / 2], rtol=1e-4
    )


def test_a_third_derivative_is_refused(images):
    _, fused = alike()
    with tf.GradientTape() as third:
        third.watch(images)
        with tf.GradientTape() as second:
            second.watch(images)
            with tf.GradientTape() as first:
                first.watch(images)
                loss = tf.reduce_sum(fused(images, training=True) ** 2)
            slope = tf.reduce_sum(first.gradient(loss, images) ** 2)
        curvature = tf.reduce_sum(second.gradient(slope, images) ** 2)
    with pytest.raises(NotImplementedError, match="twice at most"):
        third.gradient(curvature, images)
