"""The logits of classifiers that end in a softmax, a sigmoid, one output, or nothing."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers, ops

from rnascl_keras.errors import UserError
from rnascl_keras.models.logits import logits_model, logits_of

SHAPE, CLASSES = (4, 4, 1), 3
IMAGES = np.random.default_rng(0).uniform(size=(5, *SHAPE)).astype("float32")


class Head(layers.Layer):
    """Weights and a function behind them, which no part of a Keras graph shows."""

    def __init__(self, function=None):
        super().__init__()
        self.dense, self.function = layers.Dense(CLASSES), function

    def call(self, x):
        return self.dense(x) if self.function is None else self.function(self.dense(x))


class Temperature(layers.Layer):
    """Probabilities of calibrated logits: the temperature is a weight."""

    def build(self, _):
        self.temperature = self.add_weight(shape=(), initializer="ones")

    def call(self, x):
        return ops.softmax(x / self.temperature)


def home_made_softmax(x):
    powers = ops.exp(x)
    return powers / ops.sum(powers, axis=-1, keepdims=True)


def body(units=CLASSES, activation=None):
    return [keras.Input(SHAPE), layers.Flatten(), layers.Dense(units, activation=activation)]


def then(*following, activation=None):
    """Dense logits, and what follows them, one layer or function after another."""
    images, *own = body(activation=activation)
    x = images
    for layer in (*own, *following):
        x = layer(x)
    return keras.Model(images, x)


def nested(*following, activation=None):
    return keras.Sequential([keras.Input(SHAPE), then(activation=activation), *following])


def over_a_map():
    images = keras.Input(SHAPE)
    x = layers.Conv2D(CLASSES, 4, activation="softmax")(images)
    return keras.Model(images, layers.Flatten()(x))


def within(*following):
    return keras.Sequential([keras.Input((CLASSES,)), *following])


def inner_softmax():
    return within(layers.Softmax())


def inner_identity():
    return within(layers.Identity())


ENDINGS = {
    "dense": ("softmax", lambda: then(activation="softmax")),
    "sequential": ("softmax", lambda: keras.Sequential(body(activation="softmax"))),
    "layer": ("softmax", lambda: then(layers.Softmax())),
    "activation": ("softmax", lambda: then(layers.Activation("softmax"))),
    "operation": ("softmax", lambda: then(ops.softmax)),
    "TensorFlow's": ("softmax", lambda: then(layers.Lambda(tf.nn.softmax))),
    "activation of one's own": ("softmax", lambda: then(activation=lambda x: ops.softmax(x))),
    "of a map": ("softmax", over_a_map),
    "before dropout": ("softmax", lambda: then(layers.Dropout(0.5), activation="softmax")),
    "before identity": ("softmax", lambda: then(layers.Identity(), activation="softmax")),
    "before reshape": ("softmax", lambda: then(layers.Reshape((3,)), activation="softmax")),
    "before linear": ("softmax", lambda: then(ops.softmax, layers.Activation("linear"))),
    "before clip": ("softmax", lambda: then(ops.softmax, lambda p: ops.clip(p, 1e-7, 1.0))),
    "inner": ("softmax", lambda: nested(activation="softmax")),
    "inner, then dropout": ("softmax", lambda: nested(layers.Dropout(0.1), activation="softmax")),
    "in a model of its own": ("softmax", lambda: nested(inner_softmax())),
    "before an inner identity": ("softmax", lambda: nested(inner_softmax(), inner_identity())),
    "through an inner identity": ("softmax", lambda: nested(layers.Softmax(), inner_identity())),
    "log in another": ("log-softmax", lambda: nested(inner_softmax(), layers.Lambda(ops.log))),
    "log of softmax": ("log-softmax", lambda: then(ops.softmax, ops.log)),
    "guarded log": ("log-softmax", lambda: then(ops.softmax, lambda p: ops.log(p + 1e-9))),
    "log-softmax": ("log-softmax", lambda: then(layers.Activation("log_softmax"))),
    "dense sigmoid": ("sigmoid", lambda: then(activation="sigmoid")),
    "sigmoid": ("sigmoid", lambda: then(layers.Activation("sigmoid"), layers.Identity())),
    "log-sigmoid": ("log-sigmoid", lambda: then(layers.Activation("log_sigmoid"))),
    "dense tanh": ("tanh", lambda: then(activation="tanh")),
    "operation sigmoid": ("sigmoid", lambda: nested(layers.Lambda(tf.sigmoid))),
}  # fmt: skip


@pytest.mark.parametrize("name", ENDINGS)
def test_what_follows_the_logits_is_left_out_on_the_same_weights(name):
    ending, make = ENDINGS[name]
    model = make()
    found = logits_of(model)
    assert found.ending == ending and found.remarks == [f"attacked before its final {ending}"]
    kernel, bias = model.get_weights()
    expected = IMAGES.reshape(5, -1) @ kernel.reshape(-1, CLASSES) + bias
    np.testing.assert_allclose(found.model(IMAGES), expected, rtol=1e-5, atol=1e-6)
    assert found.model.output_shape == (None, CLASSES)
    assert [id(v) for v in found.model.weights] == [id(v) for v in model.weights]
    assert logits_model(found.model) is found.model  # it gives logits


def test_the_model_itself_stays_as_it_is(tmp_path):
    model = nested(activation="softmax")
    before, names = np.asarray(model(IMAGES)), [layer.name for layer in model._flatten_layers()]
    logits_model(model)
    assert [layer.name for layer in model._flatten_layers()] == names
    model.save(tmp_path / "model.keras")
    np.testing.assert_allclose(
        keras.models.load_model(tmp_path / "model.keras")(IMAGES), before, atol=1e-6
    )


def test_the_logits_can_be_saved_and_loaded(tmp_path):
    logits = logits_model(keras.Sequential(body(1, "sigmoid")))
    logits.save(tmp_path / "logits.keras")
    loaded = keras.models.load_model(tmp_path / "logits.keras")
    np.testing.assert_allclose(loaded(IMAGES), logits(IMAGES), atol=1e-6)


def test_layers_of_their_own_policy_keep_their_weights():
    images, flatten, _ = body()
    half = layers.Dense(CLASSES, activation="softmax", dtype="mixed_float16")
    model = keras.Model(images, layers.Activation("linear", dtype="float32")(half(flatten(images))))
    kernel, bias = model.get_weights()
    expected = IMAGES.reshape(5, -1) @ kernel + bias
    np.testing.assert_allclose(np.float32(logits_model(model)(IMAGES)), expected, atol=0.01)


def subclassed_end(function=None):
    images = keras.Input(SHAPE)
    return keras.Model(images, Head(function)(layers.Flatten()(images)))


class LearnedScale(layers.Layer):
    """Logits t (sigmoid - 1/2) of a learned t, which probabilities bound no more."""

    def build(self, _):
        self.t = self.add_weight(name="t", initializer="ones")

    def call(self, x):
        return self.t * (ops.sigmoid(x) - 0.5)


def two_heads(joined):
    """Return a model whose end is a function of two dense layers, which its layers do not show."""

    class Joined(layers.Layer):
        def call(self, a, b):
            return joined(a, b)

    images = keras.Input(SHAPE)
    features = layers.Flatten()(images)
    heads = (layers.Dense(CLASSES, name=name)(features) for name in ("one", "other"))
    return keras.Model(images, Joined()(*heads))


def patches(function):
    """Return a model that averages a function of what it says of each place."""
    images = keras.Input(SHAPE)
    maps = layers.Activation(function)(layers.Conv2D(CLASSES, 3)(images))
    return keras.Model(images, layers.GlobalAveragePooling2D()(maps))


@pytest.mark.parametrize(
    ("make", "what"),
    [
        (lambda: then(home_made_softmax), "a function"),
        (lambda: subclassed_end(ops.softmax), "a softmax"),
        (lambda: subclassed_end(home_made_softmax), "a function"),
        (lambda: subclassed_end(ops.sigmoid), "a sigmoid"),
        (lambda: then(Temperature()), "a softmax"),
        (lambda: then(layers.BatchNormalization(), Temperature(), layers.Identity()), "a softmax"),
        (lambda: two_heads(lambda a, b: (ops.sigmoid(a) + ops.sigmoid(b)) / 2), "a sigmoid"),
        (lambda: two_heads(lambda a, b: ops.maximum(ops.sigmoid(a), ops.sigmoid(b))), "a sigmoid"),
        (lambda: two_heads(lambda a, b: 2 * ops.softmax(a) - 1), "a softmax"),
        (lambda: two_heads(lambda a, b: 100 * ops.sigmoid(a[:, :1])), "a sigmoid"),
        (lambda: two_heads(lambda a, b: ops.round(255 * ops.sigmoid(a))), "a sigmoid"),
        (lambda: patches(ops.sigmoid), "a sigmoid"),
    ],
)
def test_probabilities_that_cannot_be_left_out_are_refused(make, what):
    with pytest.raises(UserError, match=f"gives probabilities, by {what} at its end") as caught:
        logits_model(make())
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "make",
    [
        then,
        nested,
        subclassed_end,
        lambda: then(layers.Rescaling(0.5)),
        lambda: then(layers.BatchNormalization()),
        lambda: then(ops.softsign),
        lambda: then(activation="relu"),
        lambda: subclassed_end(lambda x: ops.clip(x, 0, 1)),  # in [0, 1], as no sigmoid would be
        lambda: then(layers.UnitNormalization(axis=-1)),
        lambda: two_heads(lambda a, b: a * ops.sigmoid(b)),
        lambda: two_heads(lambda a, b: a * ops.softmax(b)[:, :1] + b * ops.softmax(b)[:, 1:2]),
        lambda: patches(ops.silu),
        lambda: then(LearnedScale()),
        lambda: keras.Sequential(
            [keras.Input(SHAPE), layers.Conv2D(CLASSES, 3), layers.GlobalAveragePooling2D()]
        ),
        lambda: keras.Sequential(
            [keras.Input((None, None, 3)), layers.Conv2D(4, 3), layers.GlobalMaxPooling2D()]
        ),
        lambda: keras.Sequential(
            [keras.Input(SHAPE), layers.Flatten(), layers.Dense(2, kernel_initializer="zeros")]
        ),
    ],
)
def test_logits_are_left_alone(make):
    keras.utils.set_random_seed(0)  # some weights make clipped logits one-hot on every image
    model = make()
    assert logits_of(model) == logits_of(model)
    assert logits_of(model).model is model and not logits_of(model).remarks


@pytest.mark.parametrize("shape", [(1,), ()])
@pytest.mark.parametrize("activation", [None, "sigmoid"])
def test_one_output_is_two_classes(activation, shape):
    images, flatten, dense = body(1, activation)
    model = keras.Model(images, layers.Reshape(shape)(dense(flatten(images))))
    found = logits_of(model)
    kernel, bias = model.get_weights()
    z = IMAGES.reshape(5, -1) @ kernel + bias
    np.testing.assert_allclose(found.model(IMAGES), np.hstack([0 * z, z]), atol=1e-6)
    assert found.remarks[-1] == "one output z: classes 0 and 1 with logits (0, z)"
    assert (found.ending == "sigmoid") == (activation == "sigmoid")


def test_a_softmax_of_one_output_is_refused():
    with pytest.raises(UserError, match="a softmax of one number is always the same"):
        logits_model(keras.Sequential(body(1, "softmax")))


@pytest.mark.parametrize("dtype", ["uint8", "int32"])
def test_a_model_of_whole_pixels_is_refused(dtype):
    images = keras.Input(SHAPE, dtype=dtype)
    x = layers.Flatten()(layers.Rescaling(1 / 255)(images))
    with pytest.raises(UserError, match=f"takes pixels as {dtype}.*Rescaling\\(255\\)"):
        logits_model(keras.Model(images, layers.Dense(CLASSES)(x)))
