"""LiteRT files attacked: gradients from an ONNX graph, answers from the interpreter only."""

from __future__ import annotations

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

from rnascl_keras.attacks import PGD, make_attack
from rnascl_keras.attacks.losses import log_odds
from rnascl_keras.errors import UserError
from rnascl_keras.evaluation.evaluate import evaluate
from rnascl_keras.export import LiteRTClassifier, OnnxClassifier
from rnascl_keras.export.deployed import open_classifier
from rnascl_keras.export.litert import runtime
from rnascl_keras.export.litert.reading import read_litert
from tests.litert_alone import litert_logits
from tests.litert_files import IMAGES, network, write

EPSILON = 0.06


def right(logits, labels):
    return np.mean(logits.argmax(axis=1) == labels)


@pytest.fixture(scope="module")
def int8(deployed):
    return LiteRTClassifier(deployed.files["student_int8.tflite"])


@pytest.fixture(scope="module")
def adversarial(deployed, int8):
    return make_attack("pgd", EPSILON).perturb(int8, deployed.x, deployed.y, seed=0)


def test_logits_are_the_interpreters(deployed, int8):
    """Of any number of images, whatever the size of the pieces they are run in."""
    for count in (1, 7, 300):
        expected = litert_logits(deployed.files["student_int8.tflite"], deployed.x[:count])
        np.testing.assert_array_equal(int8.logits(deployed.x[:count]), expected)


def test_the_float_files_gradient_is_the_models(deployed):
    x, y = deployed.x[:20], deployed.y[:20]
    classifier = LiteRTClassifier(deployed.files["student.tflite"])
    with tf.GradientTape() as tape:
        pixels = tf.constant(x)
        tape.watch(pixels)
        logits = deployed.model(pixels, training=False)
        losses = keras.losses.sparse_categorical_crossentropy(y, logits, from_logits=True)
    logits_given, values, gradient = classifier.loss_and_gradient(x, y)
    expected = tape.gradient(losses, pixels).numpy()
    np.testing.assert_allclose(gradient, expected, atol=1e-4 * np.abs(expected).max())
    np.testing.assert_allclose(values, losses.numpy(), rtol=1e-3, atol=1e-5)
    np.testing.assert_allclose(logits_given, logits.numpy(), atol=1e-4)


def test_pgd_leaves_as_much_of_it_as_of_the_onnx_file_with_the_same_quantisation(
    deployed, int8, adversarial
):
    """Within two points; and both are far from untouched and from nothing."""
    onnx = OnnxClassifier(deployed.files["student_int8.onnx"])
    attack = make_attack("pgd", EPSILON)
    theirs = right(onnx.logits(attack.perturb(onnx, deployed.x, deployed.y, seed=0)), deployed.y)
    ours = right(int8.logits(adversarial), deployed.y)
    assert abs(ours - theirs) <= 0.02
    assert 0.1 < ours < right(int8.logits(deployed.x), deployed.y) - 0.2


def test_images_made_on_the_float_file_fool_it_less_than_its_own(deployed, int8, adversarial):
    onnx = OnnxClassifier(deployed.files["student.onnx"])
    transferred = make_attack("pgd", EPSILON).perturb(onnx, deployed.x, deployed.y, seed=0)
    assert right(int8.logits(transferred), deployed.y) >= right(
        int8.logits(adversarial), deployed.y
    )


@pytest.mark.parametrize("name", ["student_int8.tflite", "integer_int8.tflite"])
def test_an_accuracy_is_what_the_interpreter_alone_says_of_the_images_made(deployed, name):
    """A file of whole numbers is given bytes, and its images are whole pixels in the ball."""
    path, y = deployed.files[name], deployed.y[:40]
    x = np.rint(deployed.x[:40] * 255) / np.float32(255)
    classifier, settings = LiteRTClassifier(path), {"progress": False, "check": 0}
    figures, made = evaluate(classifier, x, y, attacks=("pgd",), epsilon=EPSILON, **settings)
    images = made["pgd20"]
    assert np.abs(images - x).max() <= EPSILON + 1e-6
    given = images
    if classifier.takes_whole_pixels:
        whole = images[~figures.right["pgd20"]] * 255
        np.testing.assert_allclose(whole, np.rint(whole), atol=1e-3)
        given = (np.rint(images * 255) - 128).astype(np.int8)
    assert figures.accuracy["pgd20"] == right(litert_logits(path, given), y)
    assert classifier.takes_whole_pixels == (name == "integer_int8.tflite")


def test_the_gradients_graph_says_nearly_what_the_file_says(deployed, int8):
    assert int8.agreement(deployed.x) >= 0.98


def test_the_gradients_graph_adds_products_of_bytes_as_the_interpreter_does(tmp_path):
    """Not as onnxruntime does on a processor without VNNI, where pairs of them saturate."""
    keras.utils.set_random_seed(0)
    x = layers.Input((8, 8, 3))
    y = layers.Conv2D(8, 3, kernel_initializer="ones", activation="relu")(x)
    large = keras.initializers.RandomUniform(0.5, 1)
    y = layers.Dense(4, kernel_initializer=large)(layers.GlobalAveragePooling2D()(y))
    model = keras.Model(x, y)
    classifier = LiteRTClassifier(write(tmp_path / "m.tflite", model, kind=tf.int8))
    bright = (0.9 + 0.1 * IMAGES).astype(np.float32)
    own = classifier.logits(bright)
    twin = classifier._twin.logits(bright)
    np.testing.assert_allclose(twin, own, rtol=0.01)  # a step of its integers


def test_only_the_interpreters_answer_counts(deployed, monkeypatch):
    """Where the graph is wrong about an image, the file's own logits and loss are returned."""
    classifier = LiteRTClassifier(deployed.files["student.tflite"])
    x, y = deployed.x[:8], deployed.y[:8]
    expected = classifier.logits(x)
    monkeypatch.setattr(classifier._session, "run", lambda values: -expected)
    logits, values, _ = classifier.loss_and_gradient(x, y)
    np.testing.assert_array_equal(logits, -expected)
    powers = np.exp(-expected.astype(np.float64))
    cross_entropy = -np.log(powers[np.arange(8), y] / powers.sum(axis=1))
    np.testing.assert_allclose(values, cross_entropy, rtol=1e-4)
    assert classifier.agreement(x) < 0.5


@pytest.mark.parametrize("kind", [None, tf.int8], ids=["float", "int8"])
def test_before_a_softmax_the_logits_are_attacked(tmp_path, kind):
    model, logits = network("softmax")
    classifier = LiteRTClassifier(write(tmp_path / "m.tflite", model, kind=kind))
    assert "the logits before its softmax are attacked" in classifier.in_words
    expected = logits.predict(IMAGES, verbose=0)
    np.testing.assert_allclose(classifier.logits(IMAGES), expected, atol=0.02 if kind else 1e-5)
    gradient = classifier.loss_and_gradient(IMAGES, np.zeros(20, int))[2]
    assert np.abs(gradient).max() > 0 and classifier.agreement(IMAGES) >= 0.9


def test_one_sigmoid_is_two_classes(tmp_path):
    model, logits = network("sigmoid", units=1)
    classifier = LiteRTClassifier(write(tmp_path / "m.tflite", model))
    z = logits.predict(IMAGES, verbose=0)
    np.testing.assert_allclose(classifier.logits(IMAGES), np.hstack([0 * z, z]), atol=1e-5)
    assert classifier.agreement(IMAGES) == 1


@pytest.mark.parametrize(
    ("low", "high", "kind", "told"),
    [(-1, 1, tf.int8, "int8, the bytes of an image less 128"), (0, 255, tf.uint8, "uint8, the by")],
)
def test_integers_are_given_the_bytes_of_an_image_whatever_they_stand_for(
    tmp_path, low, high, kind, told
):
    model, _ = network()
    path = write(tmp_path / "m.tflite", model, low=low, high=high, kind=kind)
    classifier = LiteRTClassifier(path)
    assert told in classifier.in_words and classifier.takes_whole_pixels
    expected = model.predict(low + (high - low) * IMAGES, verbose=0)
    close = {"atol": 0.05 * np.abs(expected).max()}
    np.testing.assert_allclose(classifier.logits(IMAGES), expected, **close)
    # said in words, they are given the numbers
    said = {"mean": -low / (high - low), "std": 1 / (high - low)}
    classifier = LiteRTClassifier(path, **said)
    np.testing.assert_allclose(classifier.logits(IMAGES), expected, **close)
    assert classifier.agreement(IMAGES) >= 0.9


def test_integers_for_the_darker_pixels_only_are_given_what_they_stand_for(tmp_path):
    model, _ = network()
    classifier = LiteRTClassifier(write(tmp_path / "m.tflite", model, high=0.6, kind=tf.int8))
    expected = model.predict(0.6 * IMAGES, verbose=0)
    np.testing.assert_allclose(classifier.logits(0.6 * IMAGES), expected, atol=0.02)
    assert not classifier.takes_whole_pixels and "in steps of 0.00235" in classifier.in_words


@pytest.mark.parametrize("batch", [1, 3])
def test_a_file_of_fixed_batches_takes_any_number_of_images(tmp_path, batch):
    model, _ = network()
    classifier = LiteRTClassifier(write(tmp_path / "m.tflite", model, batch=batch))
    expected = model.predict(IMAGES, verbose=0)
    np.testing.assert_allclose(classifier.logits(IMAGES), expected, atol=1e-5)
    gradient = classifier.loss_and_gradient(IMAGES, np.zeros(20, int))[2]
    assert gradient.shape == IMAGES.shape and (np.abs(gradient).max(axis=(1, 2, 3)) > 0).all()


def test_16_bit_activations_have_a_gradient(tmp_path):
    model, _ = network()
    kinds = tf.lite.OpsSet.EXPERIMENTAL_TFLITE_BUILTINS_ACTIVATIONS_INT16_WEIGHTS_INT8
    path = write(
        tmp_path / "m.tflite",
        model,
        optimizations=[tf.lite.Optimize.DEFAULT],
        representative_dataset=lambda: ([image[None]] for image in IMAGES),
        target_spec={"supported_ops": [kinds]},
    )
    classifier = LiteRTClassifier(path)
    assert classifier.agreement(IMAGES) == 1
    assert PGD(8 / 255).perturb(classifier, IMAGES, np.zeros(20, int), seed=0).shape == IMAGES.shape


def normalised(x):
    """As LayerNormalization does, without a layer of its own."""
    mean = keras.ops.mean(x, axis=-1, keepdims=True)
    variance = keras.ops.mean(tf.math.squared_difference(x, mean), axis=-1, keepdims=True)
    return (x - mean) * tf.math.rsqrt(variance + 1e-3)


def with_changed_bits(x):
    return tf.bitcast(tf.bitwise.bitwise_xor(tf.bitcast(x, tf.int32), 1), tf.float32)


@pytest.mark.parametrize(
    ("hidden", "operators"),
    [
        (lambda x: keras.activations.gelu(x, approximate=False), {"GELU"}),
        (lambda x: keras.activations.gelu(x, approximate=True), {"GELU"}),
        ("hard_swish", {"HARD_SWISH"}),
        ("silu", {"LOGISTIC", "MUL"}),
        (normalised, {"SQUARED_DIFFERENCE", "RSQRT"}),
    ],
    ids=["gelu", "gelu by tanh", "hard_swish", "silu", "layer normalisation"],
)
def test_activations_have_the_gradient_of_their_differences(hidden, operators, tmp_path):
    """The interpreter's own losses to both sides, against the gradient of the ONNX graph."""
    model, _ = network(of_hidden=hidden)
    path = write(tmp_path / "m.tflite", model)
    assert operators <= {operator.name for operator in read_litert(path).operators}
    classifier, labels = LiteRTClassifier(path), np.arange(4)
    images = 0.1 + 0.8 * IMAGES[:4]
    gradient = classifier.loss_and_gradient(images, labels, "log_odds")[2]
    for seed in range(4):
        move = np.random.default_rng(seed).uniform(-4e-3, 4e-3, images.shape).astype(np.float32)
        ahead, behind = (
            log_odds(np, classifier.logits(images + sign * move).astype(float), labels, labels)[0]
            for sign in (1, -1)
        )
        expected = 2 * (gradient * move).sum(axis=(1, 2, 3))
        np.testing.assert_allclose(ahead - behind, expected, atol=2e-5, rtol=0.01)


def test_an_operator_without_an_onnx_form_is_named_and_the_file_still_answers(tmp_path):
    model, _ = network(of_hidden=with_changed_bits)
    classifier = LiteRTClassifier(write(tmp_path / "m.tflite", model))
    expected = model.predict(IMAGES, verbose=0)
    np.testing.assert_allclose(classifier.logits(IMAGES), expected, atol=1e-4)
    with pytest.raises(UserError, match=r"of: BITCAST; attack it by score: --attacks square\."):
        classifier.check_gradient(IMAGES)
    assert classifier.straight_through() == ()


def test_mixed_probabilities_are_refused_and_the_file_still_answers(tmp_path):
    model, _ = network()
    heads = [layers.Dense(4, activation="sigmoid")(model.outputs[0]) for _ in range(2)]
    mixed = keras.Model(model.inputs, layers.Average()(heads))
    classifier = LiteRTClassifier(write(tmp_path / "m.tflite", mixed))
    expected = mixed.predict(IMAGES, verbose=0)
    np.testing.assert_allclose(classifier.logits(IMAGES), expected, atol=1e-4)
    with pytest.raises(UserError, match=r"mixed of several .* attack the same model as ONNX"):
        classifier.check_gradient(IMAGES)


def test_of_several_outputs_none_is_taken_in_silence(tmp_path):
    model, _ = network()
    two = keras.Model(model.inputs, [model.outputs[0], layers.Dense(3)(model.outputs[0])])
    path = write(tmp_path / "m.tflite", two)
    with pytest.raises(UserError, match=r"several outputs can be scores of classes: .*--output"):
        LiteRTClassifier(path)
    sizes = [
        LiteRTClassifier(path, output=f"StatefulPartitionedCall_1:{k}").logits(IMAGES).shape[1]
        for k in (0, 1)
    ]
    assert sorted(sizes) == [3, 4]
    with pytest.raises(UserError, match=r"output 'no' is unknown; expected one of Stateful"):
        LiteRTClassifier(path, output="no")


def test_what_takes_no_images_is_refused(tmp_path):
    numbers = layers.Input((8, 8, 3)), layers.Input((8, 8, 3))
    x = layers.GlobalAveragePooling2D()(layers.Add()(numbers))
    model = keras.Model(numbers, layers.Dense(4)(x))
    shapes = [tf.TensorSpec((None, 8, 8, 3))] * 2
    path = tmp_path / "m.tflite"
    model.export(path, format="litert", verbose=False, input_signature=[shapes])
    with pytest.raises(UserError, match=r"m\.tflite: it takes 2 inputs, expected one of images"):
        LiteRTClassifier(path)


def test_without_litert_the_line_to_type_is_said(deployed, monkeypatch):
    monkeypatch.setattr(runtime, "_INTERPRETERS", ("no_such_litert",))
    with pytest.raises(UserError, match=r"type `pip install 'rnascl-keras\[litert\]'`"):
        LiteRTClassifier(deployed.files["student.tflite"])


def test_a_file_is_opened_by_its_kind(deployed):
    assert isinstance(open_classifier(deployed.files["student.onnx"]), OnnxClassifier)
    assert isinstance(open_classifier(deployed.files["student.tflite"]), LiteRTClassifier)
    with pytest.raises(UserError, match=r"providers are onnxruntime's"):
        open_classifier(deployed.files["student.tflite"], providers=("CPUExecutionProvider",))
