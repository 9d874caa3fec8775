"""The int8 file against its float file: what it computes, what it holds, and when it is refused."""

from __future__ import annotations

import hashlib
import subprocess
import sys

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import numpy_helper
from sklearn.datasets import load_digits

from rnascl_keras.errors import UserError
from rnascl_keras.export import OnnxClassifier
from rnascl_keras.export.compact import compact
from rnascl_keras.export.quantise import quantise

CNN = """
  t = Transpose<perm=[0, 3, 1, 2]>(images)
  c = Conv<pads=[1,1,1,1], strides=[2,2]>(t, w1, b1)
  n = BatchNormalization(c, scale, offset, mean, variance)
  r = Relu(n)
  d = Conv<group=16, pads=[1,1,1,1]>(r, w2, b2)
  s = Relu(d)
  a = Add(r, s)
  p = Flatten(a)
  m = MatMul(p, w3)
  logits = Add(m, b3)
"""
FEATURES = 16 * 4 * 4


@pytest.fixture(scope="module")
def digits():
    """Pixels, NHWC in [0, 1], and classes."""
    data = load_digits()
    return (data.images[..., None] / 16).astype(np.float32), data.target


def constants():
    """Random convolutions; kernels of channels that differ a hundredfold, whose batch normalisation
    makes good for that, as training leaves them."""
    random = np.random.default_rng(0)
    size = 10 ** random.uniform(-2, 0, 16)
    made = {
        "w1": random.normal(0, 0.6, (16, 1, 3, 3)) * size[:, None, None, None],
        "b1": random.normal(0, 0.2, 16) * size,
        "scale": random.uniform(0.5, 1.5, 16),
        "offset": random.normal(0, 0.2, 16),
        "mean": random.normal(0, 0.2, 16) * size,
        "variance": size**2,
        "w2": random.normal(0, 0.5, (16, 1, 3, 3)),
        "b2": random.normal(0, 0.1, 16),
        "w3": np.zeros((FEATURES, 10)),
        "b3": np.zeros(10),
    }
    return {name: value.astype(np.float32) for name, value in made.items()}


def network(path, arrays, output="logits", shape=("batch", 10)):
    value = onnx.helper.make_tensor_value_info
    model = onnx.parser.parse_model(
        '<ir_version: 8, opset_import: ["": 18]> '
        f"cnn (float[batch,8,8,1] images) => (float[batch,10] logits) {{ {CNN} }}"
    )
    model.graph.output[0].CopyFrom(value(output, onnx.TensorProto.FLOAT, shape))
    for name, array in arrays.items():
        model.graph.initializer.append(numpy_helper.from_array(array, name))
    onnx.helper.set_model_props(model, {"input_layout": "NHWC", "recipe": "digits"})
    onnx.save(model, path)
    return path


@pytest.fixture(scope="module")
def float_file(digits, tmp_path_factory):
    """A network that is right on most digits: its last layer is solved for by ridge regression."""
    folder = tmp_path_factory.mktemp("float")
    images, labels = digits
    arrays = constants()
    features = network(folder / "features.onnx", arrays, "p", ("batch", FEATURES))
    (seen,) = onnxruntime.InferenceSession(features).run(["p"], {"images": images[:1200]})
    mean, wanted = seen.mean(axis=0), np.eye(10)[labels[:1200]]
    centred = seen - mean
    solved = np.linalg.solve(centred.T @ centred + 100 * np.eye(FEATURES), centred.T @ wanted)
    arrays["w3"], arrays["b3"] = (x.astype(np.float32) for x in (10 * solved, -10 * mean @ solved))
    return network(folder / "cnn.onnx", arrays)


@pytest.fixture(scope="module")
def quantised(float_file, digits, tmp_path_factory):
    out = tmp_path_factory.mktemp("int8") / "cnn_int8.onnx"
    images, _ = digits
    return quantise(float_file, out, images[:300], check_images=images[1200:])


def run(path, images):
    (logits,) = onnxruntime.InferenceSession(path).run(["logits"], {"images": images})
    return logits


def test_the_int8_file_classifies_as_the_float_file_does(float_file, quantised, digits):
    images, labels = (part[1200:] for part in digits)
    expected, given = run(float_file, images), run(quantised.path, images)
    agreement = np.mean(given.argmax(1) == expected.argmax(1))
    assert quantised.agreement == agreement >= 0.95
    difference = np.abs(given - expected).max()
    assert quantised.max_abs_difference == pytest.approx(difference, rel=1e-5)
    # rounding to bytes is seen, and small beside how far logits lie apart
    assert 1e-4 < difference < 0.5 * np.std(expected)
    accuracies = [np.mean(logits.argmax(1) == labels) for logits in (expected, given)]
    assert min(accuracies) > 0.8
    assert abs(accuracies[0] - accuracies[1]) < 0.02


def test_what_is_said_of_the_int8_file_is_true(quantised):
    content = quantised.path.read_bytes()
    assert quantised.bytes == len(content)
    assert quantised.sha256 == hashlib.sha256(content).hexdigest()


def test_the_int8_file_is_a_qdq_file_of_bytes_per_channel(float_file, quantised):
    model = onnx.load(quantised.path)
    onnx.checker.check_model(model, full_check=True)
    assert model.ir_version <= 10
    assert [(opset.domain, opset.version) for opset in model.opset_import] == [("", 18)]
    operators = [node.op_type for node in model.graph.node]
    # the batch normalisation is folded, and the quantiser's saturation does a ReLU's work
    assert not {"BatchNormalization", "Relu", "Mul"} & set(operators)
    assert {"QuantizeLinear", "DequantizeLinear"} <= set(operators)
    arrays = {t.name: numpy_helper.to_array(t) for t in model.graph.initializer}
    kernels = [arrays[name] for name in arrays if arrays[name].ndim == 4]
    assert [kernel.dtype for kernel in kernels] == [np.int8] * 2
    dequantised = {node.input[0]: node for node in model.graph.node}
    for name, array in arrays.items():
        if array.ndim == 4:
            assert arrays[dequantised[name].input[1]].shape == (16,)
    properties = {entry.key: entry.value for entry in model.metadata_props}
    assert properties == {
        "input_layout": "NHWC",
        "recipe": "digits",
        "quantisation": "int8, QDQ, per channel, weights of 7 bits",
    }
    for graph_value, name in ((model.graph.input[0], "images"), (model.graph.output[0], "logits")):
        assert graph_value.name == name
        assert graph_value.type.tensor_type.shape.dim[0].dim_param == "batch"


def test_the_input_is_rounded_to_the_levels_of_an_8_bit_image(quantised, digits):
    """Whatever the calibration images held, so no bright pixel is clipped."""
    images, _ = digits
    levels = np.round(255 * images[:50]) / 255
    shifted = np.clip(levels + 0.4 / 255, 0, 1).astype(np.float32)
    np.testing.assert_array_equal(
        run(quantised.path, levels.astype(np.float32)), run(quantised.path, shifted)
    )
    (node,) = [n for n in onnx.load(quantised.path).graph.node if n.input[0] == "images"]
    arrays = {t.name: numpy_helper.to_array(t) for t in onnx.load(quantised.path).graph.initializer}
    assert arrays[node.input[1]] == pytest.approx(1 / 255) and arrays[node.input[2]] == 0


def test_dark_calibration_images_do_not_clip_the_input(float_file, digits, tmp_path):
    images, _ = digits
    made = quantise(float_file, tmp_path / "dark_int8.onnx", images[:300] / 4, least_agreement=0.0)
    (node,) = [n for n in onnx.load(made.path).graph.node if n.input[0] == "images"]
    arrays = {t.name: numpy_helper.to_array(t) for t in onnx.load(made.path).graph.initializer}
    assert arrays[node.input[1]] == pytest.approx(1 / 255)


def test_the_same_images_give_the_same_bytes_in_every_process(
    quantised, float_file, digits, tmp_path
):
    np.save(tmp_path / "images.npy", digits[0][:300])
    program = (
        "import sys, numpy as np\n"
        "from rnascl_keras.export.quantise import quantise\n"
        "print(quantise(*sys.argv[1:3], np.load(sys.argv[3])).sha256)\n"
        "print([m for m in ('tensorflow', 'keras', 'torch') if m in sys.modules])\n"
    )
    arguments = [str(float_file), str(tmp_path / "again.onnx"), str(tmp_path / "images.npy")]
    done = subprocess.run(
        [sys.executable, "-c", program, *arguments],
        capture_output=True,
        text=True,
        check=True,
        env={"PYTHONHASHSEED": "7"},
    )
    assert done.stdout.splitlines() == [quantised.sha256, "[]"]
    assert done.stderr == ""


def test_a_file_that_disagrees_is_refused_and_the_earlier_one_stays(float_file, digits, tmp_path):
    images, _ = digits
    out = tmp_path / "cnn_int8.onnx"
    out.write_bytes(b"earlier")
    # Calibrated on black images, every activation but those of black is clipped.
    with pytest.raises(UserError) as refusal:
        quantise(float_file, out, np.zeros_like(images[:64]), check_images=images)
    told = str(refusal.value)
    assert "cnn_int8.onnx" in told and "cnn.onnx" in told
    assert "1,797 images" in told and "at least 95.0%" in told and "export.agreement" in told
    assert "\n" not in told
    assert [path.name for path in tmp_path.iterdir()] == ["cnn_int8.onnx"]
    assert out.read_bytes() == b"earlier"
    made = quantise(
        float_file, out, np.zeros_like(images[:64]), check_images=images, least_agreement=0.0
    )
    assert made.agreement < 0.95 and out.read_bytes() != b"earlier"


def test_logits_that_are_not_finite_are_refused(float_file, digits, tmp_path):
    model = onnx.load(float_file)
    (bias,) = [t for t in model.graph.initializer if t.name == "b3"]
    bias.CopyFrom(numpy_helper.from_array(np.full(10, np.inf, np.float32), "b3"))
    onnx.save(model, tmp_path / "broken.onnx")
    with pytest.raises(UserError, match="broken.onnx gives logits that are not finite"):
        quantise(tmp_path / "broken.onnx", tmp_path / "out.onnx", digits[0][:64])
    assert not (tmp_path / "out.onnx").exists()


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        (lambda images: images[:0], "n > 0"),
        (lambda images: images[:5, :4], r"expected images of shape \(n, 8, 8, 1\)"),
    ],
)
def test_images_that_do_not_fit_are_refused(float_file, digits, tmp_path, change, complaint):
    images, _ = digits
    with pytest.raises(UserError, match=complaint):
        quantise(float_file, tmp_path / "out.onnx", change(images), check_images=images[:5])
    assert not list(tmp_path.iterdir())


def test_a_missing_file_is_named(digits, tmp_path):
    with pytest.raises(UserError, match="absent.onnx: no such file"):
        quantise(tmp_path / "absent.onnx", tmp_path / "int8.onnx", digits[0][:8])


def test_a_fixed_batch_is_refused(float_file, digits, tmp_path):
    model = onnx.load(float_file)
    for value in (model.graph.input[0], model.graph.output[0]):
        value.type.tensor_type.shape.dim[0].dim_value = 4
    onnx.save(model, tmp_path / "four.onnx")
    with pytest.raises(UserError, match="batches of 4 only"):
        quantise(tmp_path / "four.onnx", tmp_path / "out.onnx", digits[0][:8])


def test_compacting_changes_names_and_size_but_nothing_that_is_computed(float_file, digits):
    model = onnx.load(float_file)
    bias = next(t for t in model.graph.initializer if t.name == "b1")
    twin = numpy_helper.from_array(numpy_helper.to_array(bias), "a long name for the same numbers")
    model.graph.initializer.append(twin)
    model.graph.node[4].input[2] = model.graph.node[1].input[2] = twin.name
    # a name that the short ones could collide with
    model.graph.node[0].output[0] = model.graph.node[1].input[0] = "t3"
    before = onnxruntime.InferenceSession(model.SerializeToString())
    size, constants = model.ByteSize(), len(model.graph.initializer)
    compact(model)
    onnx.checker.check_model(model, full_check=True)
    after = onnxruntime.InferenceSession(model.SerializeToString())
    feeds = {"images": digits[0]}
    np.testing.assert_array_equal(before.run(None, feeds)[0], after.run(None, feeds)[0])
    assert model.ByteSize() < size and len(model.graph.initializer) == constants - 1


def test_the_int8_file_can_be_attacked_through_its_rounding(quantised, float_file, digits):
    """Attacked itself, it is no more robust than to images made on the float file."""
    from rnascl_keras.attacks import make_attack

    images, labels = (part[1200:1300] for part in digits)
    int8, exact = OnnxClassifier(quantised.path), OnnxClassifier(float_file)
    pgd = make_attack("pgd", 0.1)
    own, transferred = (pgd.perturb(made_on, images, labels) for made_on in (int8, exact))
    robust, clean = (np.mean(run(quantised.path, x).argmax(1) == labels) for x in (own, images))
    transfer = np.mean(run(quantised.path, transferred).argmax(1) == labels)
    assert robust <= transfer + 0.03
    assert robust < clean - 0.2
