from __future__ import annotations

import hashlib
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import onnx
import pytest
import tensorflow as tf

from rnascl_keras.errors import UserError
from rnascl_keras.export import ExportError, OnnxClassifier, export_student
from rnascl_keras.export.parity import check_logits
from rnascl_keras.models.full_float32 import full_float32

layers = keras.layers


def convolution(x, channels, kernel=1):
    x = layers.Conv2D(channels, kernel, padding="same", use_bias=False)(x)
    return layers.BatchNormalization()(x)


def block(x, channels, *, stride=1):
    """An inverted residual whose input is padded or cut to its output's width."""
    before = x
    x = layers.ReLU()(convolution(x, 6 * x.shape[-1]))
    x = layers.DepthwiseConv2D(3, strides=stride, padding="same", use_bias=False)(x)
    x = layers.ReLU()(layers.BatchNormalization()(x))
    x = convolution(x, channels)
    if stride > 1:
        return x
    missing = channels - before.shape[-1]
    if missing > 0:
        before = keras.ops.pad(before, [[0, 0], [0, 0], [0, 0], [0, missing]])
    else:
        before = before[..., :channels]
    return layers.Add()([x, before])


def scatter(model, seed=0):
    """Give every weight a random value, so that none is at a start that hides a mistake."""
    rng = np.random.default_rng(seed)
    for variable in model.variables:
        if "moving_variance" in variable.path or "gamma" in variable.path:
            variable.assign(rng.uniform(0.5, 1.5, variable.shape))
        else:
            variable.assign(rng.normal(0, 0.3, variable.shape))
    return model


@pytest.fixture(scope="module")
def student():
    """Every stock layer and operation that a derived student is made of."""
    images = layers.Input((12, 12, 3))
    x = layers.Rescaling([4.0, 4.1, 4.2], [-2.0, -1.9, -1.8])(images)
    x = layers.ReLU()(convolution(x, 8, 3))
    x = block(x, 4, stride=2)
    x = block(x, 6)
    x = block(x, 5)
    x = layers.GlobalAveragePooling2D()(x)
    return scatter(keras.Model(images, layers.Dense(10, name="logits")(x), name="student"))


@pytest.fixture(scope="module")
def images():
    return np.random.default_rng(1).random((200, 12, 12, 3), dtype=np.float32)


@pytest.fixture(scope="module")
def exported(student, images, tmp_path_factory):
    folder = tmp_path_factory.mktemp("export")
    return export_student(student, folder, "student", images, metadata={"recipe": "digits"})


def small_model(*middle, classes=2, dtype=None):
    pixels = layers.Input((4, 4, 3))
    x = pixels
    for layer in middle:
        x = layer(x)
    x = layers.GlobalAveragePooling2D(dtype=dtype)(x)
    return scatter(keras.Model(pixels, layers.Dense(classes, dtype=dtype)(x), name="small"))


def small_images(n=8):
    return np.random.default_rng(2).random((n, 4, 4, 3), dtype=np.float32)


def contents(folder):
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


@pytest.mark.parametrize("batch_size", [1, 7, 200])
def test_the_onnx_file_computes_the_students_logits_at_any_batch_size(
    student, images, exported, batch_size
):
    given = OnnxClassifier(exported.onnx_path, threads=1).logits(images, batch_size=batch_size)
    expected = student.predict(images, verbose=0)
    assert given.shape == (200, 10) and given.dtype == np.float32
    np.testing.assert_allclose(given, expected, atol=1e-4)
    # the logits differ from image to image by far more than they may from file to model
    assert np.std(expected, axis=0).min() > 1e-2


@pytest.mark.parametrize("ending", ["softmax", "sigmoid"])
def test_what_ends_in_probabilities_is_exported_by_its_logits(ending, tmp_path):
    plain = small_model()
    given = layers.Activation(ending)(plain.output)
    made = export_student(keras.Model(plain.input, given), tmp_path, "m", small_images())
    expected = plain(small_images())
    np.testing.assert_allclose(
        OnnxClassifier(made.onnx_path).logits(small_images()), expected, atol=1e-5
    )
    loaded = tf.saved_model.load(str(made.saved_model_path))
    answer = loaded.signatures["serving_default"](images=tf.constant(small_images()))["logits"]
    np.testing.assert_allclose(answer, expected, atol=1e-5)


def test_the_saved_model_computes_the_students_logits(student, images, exported):
    loaded = tf.saved_model.load(str(exported.saved_model_path))
    given = loaded.signatures["serving_default"](images=tf.constant(images[:33]))
    assert list(given) == ["logits"]
    np.testing.assert_allclose(given["logits"], student.predict(images[:33], verbose=0), atol=1e-4)


def test_what_is_said_of_the_onnx_file_is_true(student, images, exported):
    content = exported.onnx_path.read_bytes()
    assert exported.bytes == len(content)
    assert exported.sha256 == hashlib.sha256(content).hexdigest()
    given = OnnxClassifier(exported.onnx_path).logits(images)
    difference = np.abs(given - student.predict(images, verbose=0)).max()
    assert exported.max_abs_difference == pytest.approx(difference, abs=2e-5)
    assert exported.agreement == 1.0


def test_the_graph_can_be_read_by_older_runtimes_and_says_what_it_takes(exported):
    model = onnx.load(exported.onnx_path)
    onnx.checker.check_model(model, full_check=True)
    assert model.ir_version <= 10
    assert max(o.version for o in model.opset_import if o.domain == "") <= 21
    (graph_input,), (graph_output,) = model.graph.input, model.graph.output
    assert (graph_input.name, graph_output.name) == ("images", "logits")
    sizes = [d.dim_param or d.dim_value for d in graph_input.type.tensor_type.shape.dim]
    assert sizes == ["batch", 12, 12, 3]
    properties = {p.key: p.value for p in model.metadata_props}
    assert properties["recipe"] == "digits"
    assert properties["input_layout"] == "NHWC"


def test_the_classifier_knows_its_file(exported):
    classifier = OnnxClassifier(exported.onnx_path)
    assert classifier.input_name == "images"
    assert classifier.input_shape == (12, 12, 3)
    assert classifier.sha256 == exported.sha256


def test_the_classifier_runs_without_tensorflow_and_keras(exported, images, tmp_path):
    np.save(tmp_path / "images.npy", images[:5])
    program = (
        "import sys, numpy as np\n"
        "from rnascl_keras.export import OnnxClassifier\n"
        "logits = OnnxClassifier(sys.argv[1]).logits(np.load(sys.argv[2]))\n"
        "print(logits.shape, [m for m in ('tensorflow', 'keras', 'torch') if m in sys.modules])\n"
    )
    arguments = [str(exported.onnx_path), str(tmp_path / "images.npy")]
    done = subprocess.run(
        [sys.executable, "-c", program, *arguments], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "(5, 10) []"


def test_a_second_export_replaces_the_first_and_what_a_killed_run_left(tmp_path):
    first = export_student(small_model(classes=2), tmp_path, "s", small_images())
    leftover = tmp_path / ".s_export.part"
    leftover.mkdir()
    (leftover / "half.onnx").write_text("half")
    second = export_student(small_model(classes=3), tmp_path, "s", small_images())
    assert sorted(p.name for p in tmp_path.iterdir()) == ["s.onnx", "s_saved_model"]
    assert first.sha256 != second.sha256
    assert OnnxClassifier(second.onnx_path).logits(small_images()).shape == (8, 3)
    loaded = tf.saved_model.load(str(second.saved_model_path))
    assert loaded.signatures["serving_default"].structured_outputs["logits"].shape == (None, 3)


def test_a_failed_check_leaves_the_earlier_files_as_they_were(student, images, tmp_path):
    export_student(student, tmp_path, "s", images[:4])
    before = contents(tmp_path)
    with pytest.raises(ExportError, match="largest difference"):
        export_student(student, tmp_path, "s", images, tolerance=0.0)
    assert contents(tmp_path) == before
    assert sorted(p.name for p in tmp_path.iterdir()) == ["s.onnx", "s_saved_model"]


def test_the_check_finds_other_classes_other_shapes_and_nan():
    expected = np.zeros((1000, 2), np.float32)
    expected[:, 0] = 1e-6
    flipped = expected.copy()
    flipped[:1] = flipped[:1, ::-1]
    named = Path("file.onnx")
    assert check_logits(named, flipped, expected, 1e-4) == (pytest.approx(1e-6), 0.999)
    flipped[1] = flipped[0]
    with pytest.raises(ExportError, match="same class on 99.80%"):
        check_logits(named, flipped, expected, 1e-4)
    with pytest.raises(ExportError, match="shape"):
        check_logits(named, expected[:, :1], expected, 1e-4)
    with pytest.raises(ExportError, match="nan"):
        check_logits(named, np.full_like(expected, np.nan), expected, 1e-4)


def test_large_logits_may_differ_by_float32_s_rounding():
    """Those of a network that has hardly been trained, with moving statistics far off."""
    expected = np.float32([[14_000.0, 0.0], [0.0, 3.0]])
    named = Path("file.onnx")
    assert check_logits(named, expected + np.float32(0.012), expected, 1e-4)[1] == 1
    with pytest.raises(ExportError, match="allowed 0.14"):
        check_logits(named, expected + 1, expected, 1e-4)
    with pytest.raises(ExportError, match="allowed 0.0001"):
        check_logits(named, expected[1:] + np.float32(0.012), expected[1:], 1e-4)


def test_tensorfloat_is_off_while_comparing_and_back_after_a_failure():
    enabled = tf.config.experimental.tensor_float_32_execution_enabled
    assert enabled()
    with pytest.raises(ExportError), full_float32():
        assert not enabled()
        raise ExportError
    assert enabled()


def two_inputs():
    left, right = layers.Input((4, 4, 3)), layers.Input((4, 4, 3))
    x = layers.GlobalAveragePooling2D()(layers.Add()([left, right]))
    return keras.Model([left, right], layers.Dense(2)(x), name="small")


def not_finite():
    model = small_model()
    model.layers[-1].bias.assign([np.nan, 0.0])
    return model


class Subclassed(keras.Model):
    def call(self, x):
        return x


@pytest.mark.parametrize(
    ("model", "complaint"),
    [
        (two_inputs, "one input"),
        (lambda: Subclassed(name="small"), "functional"),
        (lambda: keras.Model(x := layers.Input((4, 4, 3)), layers.ReLU()(x)), "classes"),
        (lambda: small_model(dtype="mixed_bfloat16"), "bfloat16.*set_weights"),
        (
            lambda: small_model(layers.Normalization(mean=[0.5] * 3, variance=[0.1] * 3)),
            "Normalization.*Rescaling",
        ),
        (not_finite, "not finite"),
    ],
)
def test_a_model_that_cannot_be_exported_is_refused_and_leaves_nothing(model, complaint, tmp_path):
    with pytest.raises(UserError, match=complaint) as refusal:
        export_student(model(), tmp_path, "small", small_images())
    assert "\n" not in str(refusal.value)
    assert not list(tmp_path.iterdir())


def test_an_operation_that_onnx_has_not_is_named(tmp_path):
    svd = layers.Lambda(lambda x: tf.linalg.svd(x)[0][..., :3] + x, output_shape=(4, 4, 3))
    with pytest.raises(UserError, match="Svd.*stock Keras layers"):
        export_student(small_model(svd), tmp_path, "small", small_images())
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("shape", [(0, 4, 4, 3), (2, 5, 4, 3), (4, 4, 3)])
def test_images_of_another_shape_are_refused(shape, tmp_path):
    with pytest.raises(UserError, match="expected images of shape"):
        export_student(small_model(), tmp_path, "small", np.zeros(shape, np.float32))
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("shape", [(0, 12, 12, 3), (2, 3, 12, 12), (12, 12, 3)])
def test_the_classifier_refuses_images_of_another_shape(exported, shape):
    with pytest.raises(UserError, match=r"expected images of shape \(n, 12, 12, 3\)"):
        OnnxClassifier(exported.onnx_path).logits(np.zeros(shape, np.float32))


def test_a_missing_or_truncated_file_is_named(exported, tmp_path):
    with pytest.raises(UserError, match="no such file"):
        OnnxClassifier(tmp_path / "absent.onnx")
    cut = tmp_path / "cut.onnx"
    cut.write_bytes(exported.onnx_path.read_bytes()[:400])
    with pytest.raises(UserError, match="cut.onnx cannot be read as ONNX"):
        OnnxClassifier(cut)


def test_a_file_that_is_no_image_classifier_is_refused(tmp_path):
    def identity(shape, name):
        def value(label):
            return onnx.helper.make_tensor_value_info(label, onnx.TensorProto.FLOAT, shape)

        node = onnx.helper.make_node("Identity", ["x"], ["y"])
        graph = onnx.helper.make_graph([node], "g", [value("x")], [value("y")])
        opset = onnx.helper.make_opsetid("", 18)
        model = onnx.helper.make_model(graph, ir_version=8, opset_imports=[opset])
        onnx.save(model, tmp_path / name)
        return tmp_path / name

    with pytest.raises(
        UserError, match=r"shape \(batch, classes\).*'y' float \(batch, 4, 4, 4, 3\)"
    ):
        OnnxClassifier(identity(["batch", 4, 4, 4, 3], "film.onnx"))
    with pytest.raises(UserError, match=r"numbers of shape \(batch, classes\)"):
        OnnxClassifier(identity(["batch", 4, 4, 3], "picture.onnx"))
