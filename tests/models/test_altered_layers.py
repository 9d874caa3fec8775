"""Quantised layers and low-rank factors: attacked as they are, counted by their kernels, and
refused where kernels are to be trained, cut or taken over."""

import json

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

from rnascl_keras.attacks import losses
from rnascl_keras.attacks.keras_classifier import KerasClassifier
from rnascl_keras.errors import UserError
from rnascl_keras.export.convert import check_exportable
from rnascl_keras.method.input_gradients import with_input_gradients
from rnascl_keras.method.teacher import LiveTeacher
from rnascl_keras.models.logits import logits_of
from rnascl_keras.models.size import model_macs, model_parameters
from rnascl_keras.models.starting import for_other_images, start_from
from rnascl_keras.pruning.masks import kernels
from rnascl_keras.pruning.structured import without_channels
from rnascl_keras.teachers.adversarial_training import AdversarialTrainer

IMAGE, CLASSES = (6, 6, 3), 4
IMAGES = np.random.default_rng(0).uniform(size=(16, *IMAGE)).astype("float32")
LABELS = np.arange(16) % CLASSES


def network(activation=None):
    keras.utils.set_random_seed(0)
    images = keras.Input(IMAGE)
    x = layers.Conv2D(8, 3, activation="relu", name="conv")(images)
    x = layers.Dense(16, activation="relu", name="hidden")(layers.Flatten()(x))
    return keras.Model(images, layers.Dense(CLASSES, activation, name="head")(x))


def quantised(mode, activation=None):
    model = network(activation)
    model.quantize(mode)
    return model


def with_factors(activation=None):
    """A network whose hidden layer and head have low-rank factors that matter."""
    model, generator = network(activation), np.random.default_rng(1)
    for name in ("hidden", "head"):
        layer = model.get_layer(name)
        layer.enable_lora(2, lora_alpha=16)
        layer.lora_kernel_b.assign(generator.normal(size=layer.lora_kernel_b.shape))
    return model


ALTERED = {
    "int8": lambda: quantised("int8"),
    "int4": lambda: quantised("int4"),
    "float8": lambda: quantised("float8"),
    "lora": with_factors,
}


def alike(gradient, other):
    """The cosine between two gradients of each image, (n,)."""
    a, b = (x.reshape(len(x), -1).astype(np.float64) for x in (gradient, other))
    return (a * b).sum(1) / np.sqrt((a**2).sum(1) * (b**2).sum(1))


def cut_off(model):
    """A float8 network as after a training by batch means, whose slopes are a hundredth of ours."""
    for layer in model.layers:
        if hasattr(layer, "outputs_grad_scale"):
            layer.outputs_grad_scale.assign(1e-3 / 57344)
    return model


def test_an_attack_s_slopes_are_not_those_that_float8_was_trained_by():
    model = cut_off(quantised("float8"))
    plain = network()
    for mine, theirs in zip(plain.weights, network().weights, strict=True):
        np.testing.assert_array_equal(mine, theirs)
    asked = IMAGES, losses.log_odds, LABELS, LABELS
    expected = KerasClassifier(plain).logits_and_gradient(*asked)[1]
    found = KerasClassifier(model).logits_and_gradient(*asked)[1]
    assert alike(found, expected).mean() > 0.97  # its activations have three bits
    teacher = LiveTeacher(model, "conv", (4, 4))
    by_pixel = tf.function(lambda x: teacher.input_gradients(x, LABELS))(IMAGES)
    _, wanted = with_input_gradients(
        lambda x: (plain(x, training=False),), keras.ops.convert_to_tensor(IMAGES), LABELS
    )
    assert alike(np.asarray(by_pixel), np.asarray(wanted)).mean() > 0.97


def test_a_softmax_behind_low_rank_factors_is_left_out_of_the_same_function():
    model = with_factors("softmax")
    logits = np.asarray(logits_of(model).model(IMAGES))
    np.testing.assert_allclose(
        np.asarray(keras.ops.softmax(logits)), np.asarray(model(IMAGES)), rtol=1e-5, atol=1e-6
    )


class Doubling(layers.Dense):
    """Computes what its configuration does not tell."""

    factor = 1.0

    def call(self, inputs):
        return self.factor * super().call(inputs)


def test_a_layer_that_its_configuration_does_not_tell_is_refused(monkeypatch):
    from rnascl_keras.models import ending

    monkeypatch.setattr(ending, "WITH_ACTIVATION", (*ending.WITH_ACTIVATION, Doubling))
    head = Doubling(CLASSES, activation="softmax", name="head")
    model = keras.Sequential([keras.Input(IMAGE), layers.Flatten(), head])
    assert logits_of(model).ending == "softmax"
    head.factor = 2.0
    with pytest.raises(UserError, match="'head' computes otherwise than its configuration says"):
        logits_of(model)


@pytest.mark.parametrize("kind", ALTERED)
def test_parameters_and_products_are_those_of_the_float_network(kind):
    model, plain = ALTERED[kind](), network()
    assert model_parameters(model) == model_parameters(plain)
    assert model_macs(model) == model_macs(plain)


@pytest.mark.parametrize("kind", ALTERED)
def test_what_cannot_be_cut_or_taken_over_is_refused(kind):
    model = ALTERED[kind]()
    told = "adds low-rank factors" if kind == "lora" else rf"is quantised \({kind}\)"
    for change in (
        lambda: kernels(model),
        lambda: without_channels(model, 0.5),
        lambda: start_from(network(), model),
        lambda: for_other_images(model, IMAGE, 7),
    ):
        with pytest.raises(UserError, match=told):
            change()
    if kind == "lora":  # its factors train
        AdversarialTrainer(model, epsilon=0.1)
    else:
        with pytest.raises(UserError, match=rf"cannot be trained: its layer '\w+' {told}"):
            AdversarialTrainer(model, epsilon=0.1)


def test_a_file_of_float8_is_not_written():
    with pytest.raises(UserError, match="computes in float8"):
        check_exportable(quantised("float8"))
    check_exportable(quantised("int8"))


def test_layers_that_round_coarsely_are_named():
    coarse = network()
    quantizer = keras.quantizers.AbsMaxQuantizer(axis=-1, value_range=(-7, 7))
    config = keras.quantizers.Int8QuantizationConfig(activation_quantizer=quantizer)
    coarse.get_layer("hidden").quantize("int8", config=config)
    assert KerasClassifier(coarse).straight_through() == ["hidden"]
    assert KerasClassifier(quantised("float8")).straight_through() == ["hidden", "head"]
    for usual in (quantised("int8"), quantised("int4"), network()):
        assert KerasClassifier(usual).straight_through() == []


def test_square_is_run_beside_them(rnascl, tmp_path):
    quantised("float8").save(tmp_path / "model.keras")
    np.savez(tmp_path / "images.npz", x=IMAGES, y=LABELS)
    command = ("evaluate", tmp_path / "model.keras", "--data", tmp_path / "images.npz")
    command += ("--n", 4, "--check", 0, "--json", tmp_path / "figures.json")
    for attacks, keys in (("fgsm", ["clean", "fgsm", "square", "worst"]), ("none", ["clean"])):
        more = ("--corruptions", "fog") if attacks == "none" else ()
        result = rnascl(*command, "--attacks", attacks, *more)
        assert result.code == 0, result.err
        assert ("hidden, head as if it did not round" in result.out) == (attacks == "fgsm")
        figures = json.loads((tmp_path / "figures.json").read_text())
        assert [key for key in figures["accuracy"] if key in keys] == keys
        assert ("square" in figures["accuracy"]) == (attacks == "fgsm")
