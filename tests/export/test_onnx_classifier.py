"""OnnxClassifier on files of every layout, type and normalisation, without TensorFlow."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import onnx
import onnxruntime
import pytest

from rnascl_keras.attacks import losses
from rnascl_keras.errors import UserError
from rnascl_keras.export import OnnxClassifier
from rnascl_keras.export.gradient.losses import name_in_graph
from rnascl_keras.export.onnx_gradient import input_gradient_model
from tests.small_onnx import CONVOLUTIONS


@pytest.fixture
def nchw(save):
    return save("n = Identity(x)" + CONVOLUTIONS)


@pytest.fixture
def images():
    return np.random.default_rng(1).uniform(0, 1, (6, 8, 8, 3)).astype(np.float32)


LABELS = np.array([0, 1, 2, 3, 4, 0])
NHWC = "n = Transpose<perm=[0, 3, 1, 2]>(x)" + CONVOLUTIONS


def assert_same(results, expected, atol=1e-6):
    for result, other in zip(results, expected, strict=True):
        np.testing.assert_allclose(result, other, atol=atol)


def test_pixels_are_nhwc_whatever_the_files_layout(nchw, save, images):
    other = OnnxClassifier(save(NHWC, takes="float[N, 8, 8, 3] x"))
    classifier = OnnxClassifier(nchw)
    assert (classifier.layout, other.layout) == ("NCHW", "NHWC")
    assert classifier.input_shape == other.input_shape == (8, 8, 3)
    results = classifier.loss_and_gradient(images, LABELS)
    assert [x.shape for x in results] == [(6, 5), (6,), (6, 8, 8, 3)]
    assert_same(other.loss_and_gradient(images, LABELS), results)
    assert_same([classifier.logits(images)], results[:1])


def test_the_gradient_is_by_the_pixels_where_the_file_wants_them_normalised(nchw, save, images):
    mean, std = (0.4, 0.5, 0.6), (0.2, 0.25, 0.3)
    inside = save(
        "m = Sub(x, mean) n = Div(m, std)" + CONVOLUTIONS,
        mean=np.reshape(mean, (3, 1, 1)),
        std=np.reshape(std, (3, 1, 1)),
    )
    expected = OnnxClassifier(inside).loss_and_gradient(images, LABELS)
    given = OnnxClassifier(nchw, mean=mean, std=std).loss_and_gradient(images, LABELS)
    assert_same(given, expected, atol=1e-5)
    assert np.abs(expected[2]).max() > 0.01
    scalar = OnnxClassifier(nchw, mean=0.5, std=[0.5]).loss_and_gradient(images, LABELS)
    assert_same(scalar[:1], OnnxClassifier(nchw).loss_and_gradient(2 * images - 1, LABELS)[:1])


@pytest.mark.parametrize("batch_size", [1, 4, 128])
def test_batches_of_any_size_and_of_a_fixed_size_agree(nchw, save, images, batch_size):
    fixed = OnnxClassifier(save("n = Identity(x)" + CONVOLUTIONS, takes="float[4, 3, 8, 8] x"))
    expected = OnnxClassifier(nchw).loss_and_gradient(images, LABELS, "margin")
    for classifier in (fixed, OnnxClassifier(nchw)):
        settings = {"batch_size": batch_size}
        given = classifier.loss_and_gradient(images, LABELS, "margin", **settings)
        assert_same(given, expected)
        assert_same([classifier.logits(images, **settings)], expected[:1])


def test_targeted_losses(nchw, images):
    classifier = OnnxClassifier(nchw)
    targets = (LABELS + 2) % 5
    logits, loss, _ = classifier.loss_and_gradient(images, LABELS, "difference", targets)
    rows = np.arange(6)
    np.testing.assert_allclose(loss, logits[rows, targets] - logits[rows, LABELS], atol=1e-6)
    with pytest.raises(UserError, match="targets must be integers .* got none"):
        classifier.loss_and_gradient(images, LABELS, "targeted_dlr")


def test_any_loss_of_arrays_can_be_followed(nchw, images):
    def halved_margin(ops, logits, labels, targets):
        hot = ops.where(ops.arange(5) == labels[:, None], 1.0, 0.0)
        runner_up = ops.argmax(logits - 1e9 * hot, axis=1)
        return None, (ops.where(ops.arange(5) == runner_up[:, None], 1.0, 0.0) - hot) / 2

    classifier = OnnxClassifier(nchw)
    logits, gradient = classifier.logits_and_gradient(images, halved_margin, LABELS, LABELS)
    expected = classifier.loss_and_gradient(images, LABELS, "margin")
    assert_same([logits, 2 * gradient], [expected[0], expected[2]])


@pytest.mark.parametrize("name", ["log_odds", "margin", "difference", "dlr", "targeted_dlr"])
def test_the_attacks_own_losses_become_nodes(nchw, images, name):
    loss = losses.NAMED[name]
    assert name_in_graph(loss) == name
    classifier = OnnxClassifier(nchw)
    targets = (LABELS + 1) % 5
    in_graph = classifier.logits_and_gradient(images, loss, LABELS, targets)
    outside = classifier.logits_and_gradient(images, lambda *x: loss(*x), LABELS, targets)
    assert_same(in_graph, outside, atol=1e-5 * np.abs(outside[1]).max())


def test_every_loss_of_the_attacks_has_its_nodes():
    assert set(losses.NAMED) == {"log_odds", "margin", "difference", "dlr", "targeted_dlr"}
    assert all(name_in_graph(loss) == name for name, loss in losses.NAMED.items())


def test_a_loss_that_only_bears_a_known_name_is_computed_as_it_says(nchw, images):
    def doubled(*told):
        values, slopes = losses.margin(*told)
        return 2 * values, 2 * slopes

    classifier = OnnxClassifier(nchw)
    own = losses.Loss("margin", doubled)
    logits, gradient = classifier.logits_and_gradient(images, own, LABELS, LABELS)
    expected = classifier.loss_and_gradient(images, LABELS, "margin")
    assert_same([logits, gradient], [expected[0], 2 * expected[2]])


def test_an_image_size_left_open_is_taken_from_the_images(nchw, save, images):
    path = save("n = Identity(x)" + CONVOLUTIONS, takes="float[N, 3, H, W] x")
    classifier = OnnxClassifier(path)
    assert classifier.input_shape == (None, None, 3)
    expected = OnnxClassifier(nchw).loss_and_gradient(images, LABELS)
    assert_same(classifier.loss_and_gradient(images, LABELS), expected)
    assert classifier.loss_and_gradient(images[:, :7], LABELS)[2].shape == (6, 7, 8, 3)


def test_bytes_have_no_mean(save):
    nodes = "i = Cast<to=1>(x) n = Div(i, scale)" + CONVOLUTIONS
    path = save(nodes, takes="uint8[N, 3, 8, 8] x", scale=np.float32(255))
    with pytest.raises(UserError, match="leave out mean and std"):
        OnnxClassifier(path, mean=0.5)


ROWS = "t = Reshape(x, grid) n = Transpose<perm=[0, 3, 1, 2]>(t)" + CONVOLUTIONS


@pytest.mark.parametrize("takes", ["float[N, 192]", "float[N, 192, 1]", "float[N, 1, 192]"])
def test_each_image_as_a_row(takes, nchw, save, images):
    path = save(ROWS, takes=f"{takes} x", grid=np.array([-1, 8, 8, 3]))
    with pytest.raises(UserError, match="say layout="):
        OnnxClassifier(path).logits(images)
    classifier = OnnxClassifier(path, layout="NHWC")
    expected = OnnxClassifier(nchw)
    assert_same(
        classifier.loss_and_gradient(images, LABELS), expected.loss_and_gradient(images, LABELS)
    )
    assert classifier.some_image_shape(64) == (192, 1, 1)
    with pytest.raises(UserError, match="rows of 192 numbers; images of shape .7, 8, 3. have 168"):
        classifier.logits(images[:, :7])


def test_images_without_an_axis_of_channels(nchw, save, images):
    grey = images.mean(axis=3, keepdims=True)
    nodes = "u = Unsqueeze(x, one) n = Expand(u, three)" + CONVOLUTIONS
    arrays = {"one": np.array([1]), "three": np.array([1, 3, 1, 1])}
    path = save(nodes, takes="float[N, 8, 8] x", **arrays)
    classifier, expected = OnnxClassifier(path), OnnxClassifier(nchw)
    assert classifier.input_shape == (8, 8, 1)
    colour = np.repeat(grey, 3, axis=3)
    logits, loss, gradient = classifier.loss_and_gradient(grey, LABELS)
    wanted = expected.loss_and_gradient(colour, LABELS)
    assert_same((logits, loss), wanted[:2])
    np.testing.assert_allclose(gradient[..., 0], wanted[2].sum(axis=3), atol=1e-6)


def test_operators_without_a_gradient_are_counted_in_one_short_line(save, images):
    casts = " ".join(f"i{k} = Cast<to=6>(x) n{k} = Cast<to=1>(i{k})" for k in range(50))
    parts = ", ".join(f"n{k}" for k in range(50))
    nodes = f"{casts} s = Sum({parts}) t = Det(s) u = Unsqueeze(t, axes) n = Add(u, s)"
    classifier = OnnxClassifier(save(nodes + CONVOLUTIONS, axes=np.array([2, 3])))
    assert classifier.logits(images).shape == (6, 5)
    with pytest.raises(UserError) as refusal:
        classifier.loss_and_gradient(images, LABELS)
    message = str(refusal.value)
    for words in ("Cast (100 nodes, the first 'i0': it converts", "Det (node 't': no rule)"):
        assert words in message
    assert message.endswith("attack it with --attacks square, which needs logits only.")
    assert "\n" not in message and len(message) < 500


def test_integer_operators_are_to_be_quantised_anew(save):
    nodes = "q = Cast<to=2>(x) i = ConvInteger(q, k) n = Cast<to=1>(i)" + CONVOLUTIONS
    kernel = np.ones((3, 3, 1, 1), np.uint8)
    with pytest.raises(UserError, match="quantise it anew as QDQ, or attack it with"):
        input_gradient_model(onnx.load(save(nodes, k=kernel)))


LOOP = """
  largest = ReduceMax<keepdims=0>(x) count = Cast<to=7>(largest)
  n, s = Loop(count, true, x) <body = step (int64 i, bool go, float[N, 3, 8, 8] y)
    => (bool on, float[N, 3, 8, 8] out, float[N, 3, 8, 8] seen) {
      on = Identity(go) out = Mul(y, y) seen = Identity(x) }>
"""


BRANCH = """
  r = ReduceMax<keepdims=0>(x) g = Greater(r, half)
  n = If(g) <then_branch = yes () => (float[N, 3, 8, 8] u) { u = Mul(x, x) },
             else_branch = no () => (float[N, 3, 8, 8] v) { v = Identity(x) }>
"""


@pytest.mark.parametrize(
    ("nodes", "complaint"),
    [
        (BRANCH, "If .node 'n': its condition is no constant"),
        (LOOP, "Loop .node 'n': how often it runs is no constant"),
        ("m = Dropout(x, half, true) n = Identity(m)", "Dropout .node 'm': it is in training mode"),
        ("i = Cast<to=6>(x) n = Cast<to=1>(i)", "Cast .2 nodes, the first 'i': it converts"),
        (
            "i = Conv<pads=[1, 1, 1, 1]>(k, x) n = Expand(i, four)",
            "Conv .node 'i': its input x depends on",
        ),
    ],
)
def test_what_has_no_gradient_is_refused(save, images, nodes, complaint):
    arrays = {
        "half": np.float32(0.5),
        "true": np.array(True),
        "four": np.array([1, 3, 1, 1]),
    }
    classifier = OnnxClassifier(save(nodes + CONVOLUTIONS, **arrays, k=np.ones((1, 3, 8, 8))))
    with pytest.raises(UserError, match=complaint):
        classifier.loss_and_gradient(images, LABELS)


def test_constants_and_shapes_off_the_path_do_not_matter(save, images):
    nodes = """
      s = Shape(x) r = Range(zero, one, one) q = Round(half) o = NonZero(r)
      n = Reshape(x, s)
    """
    arrays = {"zero": np.float32(0), "one": np.float32(1), "half": np.float32(0.5)}
    classifier = OnnxClassifier(save(nodes + CONVOLUTIONS, **arrays))
    assert np.abs(classifier.loss_and_gradient(images, LABELS)[2]).max() > 0


@pytest.mark.parametrize(
    ("labels", "complaint"),
    [
        ([0, 1, 2, 3, 4, 5], "labels range from 0 to 5; the model has 5 classes"),
        ([0, 1, 2, 3, 4, -1], "labels range from -1 to 4"),
        ([0, 1], r"labels must be integers of shape \(6,\)"),
        ([0.0] * 6, "labels must be integers .* got float64"),
    ],
)
def test_labels_that_are_no_classes_are_refused(nchw, images, labels, complaint):
    with pytest.raises(UserError, match=complaint):
        OnnxClassifier(nchw).loss_and_gradient(images, np.array(labels))


@pytest.mark.parametrize(
    ("settings", "complaint"),
    [
        ({"providers": ["CUDAExecutionProvide"]}, "provider 'CUDAExecutionProvide' is not in this"),
        ({"layout": "CHWN"}, "layout is 'CHWN'; expected NHWC or NCHW"),
        ({"layout": "NHWC"}, r"would be 8 channels in NHWC; expected layout='NCHW'"),
        ({"mean": [0.1, 0.2]}, "one for each of the 3 channels"),
        ({"std": 0.0}, "expected positive numbers"),
    ],
)
def test_settings_that_do_not_fit_are_refused(nchw, settings, complaint):
    with pytest.raises(UserError, match=complaint):
        OnnxClassifier(nchw, **settings)


@pytest.mark.filterwarnings("ignore:Specified provider")
def test_a_provider_that_does_not_start_is_no_cpu_in_silence(nchw, monkeypatch):
    """As where onnxruntime was built for CUDA, and its libraries are not there."""
    providers = ["CUDAExecutionProvider", "CPUExecutionProvider"]
    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: providers)
    with pytest.raises(UserError, match="cannot start CUDAExecutionProvider on this machine"):
        OnnxClassifier(nchw, providers=providers[:1])


def test_a_layout_that_can_be_either_must_be_said(save, images):
    path = save("n = Slice(x, a, b) z = Flatten(n)", takes="float[N, 3, 4, 3] x",
                gives="float[N, K] z", a=np.array([0, 0]), b=np.array([99, 1]))  # fmt: skip
    with pytest.raises(UserError, match="say layout="):
        OnnxClassifier(path)
    gradient = OnnxClassifier(path, layout="NCHW").loss_and_gradient(images[:, :4, :3], LABELS)[2]
    # z is the first channel
    assert not gradient[..., 1:].any() and gradient[..., 0].any()


def test_neither_tensorflow_nor_keras_nor_torch_is_imported(nchw, images, tmp_path):
    np.save(tmp_path / "images.npy", images)
    code = f"""
import sys
import numpy as np
from rnascl_keras.export import OnnxClassifier
from rnascl_keras.export.gradient.losses import name_in_graph
classifier = OnnxClassifier({str(nchw)!r})
images = np.load({str(tmp_path / "images.npy")!r})
assert classifier.loss_and_gradient(images, np.zeros(6, int), "dlr")[2].shape == images.shape
heavy = {{"tensorflow", "keras", "torch", "tf2onnx"}} & set(sys.modules)
assert not heavy, heavy
"""
    subprocess.run([sys.executable, "-c", code], check=True, timeout=120, cwd=tmp_path)


def test_double_precision_stays(save, images):
    path = save("z = Flatten(x)", takes="double[N, 3, 8, 8] x", gives="double[N, 192] z")
    logits, loss, gradient = OnnxClassifier(path).loss_and_gradient(images, LABELS)
    assert {x.dtype for x in (logits, loss, gradient)} == {np.dtype(np.float64)}
