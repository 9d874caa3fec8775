"""Which output of a file is attacked, and before which activation."""

from __future__ import annotations

import json

import numpy as np
import onnx
import onnxruntime
import pytest

from rnascl_keras.errors import UserError
from rnascl_keras.export import OnnxClassifier
from tests.small_onnx import CONVOLUTIONS

LABELS = np.array([0, 1, 2, 3, 4, 0])
IMAGES = np.random.default_rng(1).uniform(0, 1, (6, 8, 8, 3)).astype(np.float32)
NETWORK = "n = Identity(x)" + CONVOLUTIONS
FIVE = "float[N, 5] p"
LARGE = {"large": np.float32(300)}

SOFTMAX_ENDINGS = (
    "p = Softmax(z)",
    "q = LogSoftmax<axis=1>(z) p = Identity(q)",
    "q = Softmax(z) p = Log(q)",
    "q = Softmax(z) r = Clip(q, small, one) s = Log(r) p = Mul(s, hundred)",
    "q = Softmax(z) r = Add(small, q) p = Log(r)",
    "e = Exp(z) t = ReduceSum<keepdims=1>(e, axes) p = Div(e, t)",
    "m = ReduceMax<keepdims=1>(z, axes) y = Sub(z, m) e = Exp(y)"
    " t = ReduceSum<keepdims=1>(e, axes) p = Div(e, t)",
    # over the batch as well
    *(
        f"e = Exp(z) t = ReduceSum<keepdims=1>({summed}) p = Div(e, t)"
        for summed in ("e", "e, every", "e, batch_first", "e, batch_last")
    ),
    "k = Reshape(z, apart) e = Exp(k) t = ReduceSum<keepdims=1>(e, places) q = Div(e, t)"
    " p = Flatten(q)",
)
OTHER_ENDINGS = {
    "p = Sigmoid(z)": "sigmoid",
    "q = Sigmoid(z) p = Log(q)": "sigmoid",
    # written out
    "m = Neg(z) e = Exp(m) t = Add(one, e) p = Reciprocal(t)": "sigmoid",
    "m = Mul(minus, z) e = Exp(m) t = Add(e, one) p = Div(one, t)": "sigmoid",
    "e = Exp(z) t = Add(e, one) p = Div(e, t)": "sigmoid",
    "m = Neg(z) s = Softplus(m) p = Neg(s)": "sigmoid",
    "s = Softplus(z) p = Sub(z, s)": "sigmoid",
    "p = Tanh(z)": "tanh",
    "q = Tanh(z) p = Mul(q, hundred)": "tanh",
}
NUMBERS = {"small": np.float32(1e-7), "one": np.float32(1), "hundred": np.float32(100)}
NUMBERS |= {"minus": np.float32(-1)}
NUMBERS |= {"axes": np.array([1]), "every": np.array([], np.int64), "places": np.array([2, 1])}
NUMBERS |= {"batch_first": np.array([0, 1]), "batch_last": np.array([1, 0])}
NUMBERS |= {"apart": np.array([0, 5, 1])}


def assert_attacked_like(classifier, expected, atol=1e-6):
    given = classifier.loss_and_gradient(IMAGES, LABELS)
    for a, b in zip(given, expected.loss_and_gradient(IMAGES, LABELS), strict=True):
        np.testing.assert_allclose(a, b, atol=atol)
    np.testing.assert_allclose(classifier.logits(IMAGES), given[0], atol=atol)


@pytest.mark.parametrize(
    ("ending", "activation"),
    [*((ending, "softmax") for ending in SOFTMAX_ENDINGS), *OTHER_ENDINGS.items()],
)
def test_a_final_activation_is_taken_off(ending, activation, save):
    bare = OnnxClassifier(save(NETWORK))
    assert bare.output.activation is None
    classifier = OnnxClassifier(save(NETWORK + ending, gives=FIVE, **NUMBERS))
    assert classifier.output.activation == activation
    assert f"the logits before its {activation} are attacked" in classifier.output.in_words
    shifted = "ReduceMax" in ending
    if not shifted:
        assert_attacked_like(classifier, bare)
    else:  # softmax does not see what is taken off every logit alike
        losses = [c.loss_and_gradient(IMAGES, LABELS)[1:] for c in (classifier, bare)]
        for a, b in zip(*losses, strict=True):
            np.testing.assert_allclose(a, b, atol=1e-6)


@pytest.mark.parametrize(
    "ending",
    [
        "p = Neg(z)",
        "m = Neg(z) e = Exp(m) p = Reciprocal(e)",
        "m = Softplus(z) p = Neg(m)",
        "e = Exp(z) t = Add(one, e) p = Reciprocal(t)",
        "q = Tanh(z) p = MatMul(q, mix)",
        "q = Softmax(z) p = Neg(q)",  # turns the order of the classes round
        "q = Softmax(z) p = Sub(one, q)",
        "q = Sigmoid(z) p = MatMul(q, mix)",
        # sums over no axis
        "e = Exp(z) t = ReduceSum<noop_with_empty_axes=1>(e, every) p = Div(e, t)",
        "e = Exp(z) t = ReduceSum<noop_with_empty_axes=1>(e) p = Div(e, t)",
    ],
)
def test_what_changes_the_order_of_the_classes_stays(ending, save):
    arrays = NUMBERS | {"mix": np.eye(5)[::-1].copy()}
    path = save(NETWORK + ending, gives=FIVE, **arrays)
    classifier = OnnxClassifier(path)
    assert classifier.output.activation is None
    session = onnxruntime.InferenceSession(path)
    (expected,) = session.run(["p"], {"x": IMAGES.transpose(0, 3, 1, 2)})
    np.testing.assert_allclose(classifier.logits(IMAGES), expected, atol=1e-6)


def test_a_softmax_over_something_else_than_classes_stays(save):
    nodes = "a = Softmax<axis=1>(x) b = Slice(a, low, high, low) z = Flatten(b)"
    path = save(nodes, gives="float[N, K] z", low=np.array([2]), high=np.array([4]))
    classifier = OnnxClassifier(path)
    assert classifier.output.activation is None
    assert classifier.logits(IMAGES).max() <= 1


def test_saturated_sigmoids_do_not_hide_the_gradient(save):
    ending = "l = Mul(z, large) p = Sigmoid(l)"
    classifier = OnnxClassifier(save(NETWORK + ending, gives=FIVE, **LARGE))
    _, loss, gradient = classifier.loss_and_gradient(IMAGES, LABELS, "log_odds")
    assert np.isfinite(loss).all()
    assert (np.abs(gradient).max(axis=(1, 2, 3)) > 0).all()


@pytest.mark.parametrize(
    ("ending", "gives"),
    [
        ("p = Sigmoid(o)", "float[N, 1] p"),
        ("p = Identity(o)", "float[N, 1] p"),
        ("q = Sigmoid(o) p = Squeeze(q, axes)", "float[N] p"),
        ("q = Reshape(o, row) p = Sigmoid(q)", "float[N] p"),
        ("p = Squeeze(o, axes)", "float[N] p"),
        ("q = Sigmoid(o) p = Squeeze(q, axes) l = Greater(q, half)", "bool[N, 1] l, float[N] p"),
    ],
)
def test_one_output_is_two_classes(ending, gives, save):
    """Of z alone, class 1 has the log-odds z: the cross-entropy of label 1 is softplus(-z)."""
    path = save(
        NETWORK + "o = MatMul(z, column)" + ending,
        gives=gives,
        column=np.linspace(-1, 1, 5)[:, None],
        axes=np.array([1]),
        row=np.array([-1]),
        half=np.float32(0.5),
    )
    classifier = OnnxClassifier(path)
    assert (classifier.output.is_binary, classifier.output.classes) == (True, 2)
    assert "(0, z)" in classifier.output.in_words
    z = OnnxClassifier(save(NETWORK)).logits(IMAGES) @ np.linspace(-1, 1, 5)[:, None]
    labels = np.array([0, 1, 1, 0, 1, 0])
    logits, loss, gradient = classifier.loss_and_gradient(IMAGES, labels)
    np.testing.assert_allclose(logits, np.concatenate([0 * z, z], axis=1), atol=1e-6)
    sign = 1 - 2 * labels
    np.testing.assert_allclose(loss, np.logaddexp(0, sign * z[:, 0]), atol=1e-6)
    step = 1e-2 * gradient / np.sqrt((gradient**2).sum(axis=(1, 2, 3), keepdims=True))
    rise = classifier.loss_and_gradient(np.clip(IMAGES + step, 0, 1), labels)[1] - loss
    assert (rise > 0).all()


@pytest.mark.parametrize("place", [0, 1])
@pytest.mark.parametrize("ending", ["", "p1 = Clip(p, small) p2 = Log(p1)"])
def test_a_sigmoid_and_what_is_left_of_one_are_a_softmax(place, ending, save):
    """1 - p and p are the softmax of (0, z): even where p is 1, z has a gradient."""
    pair = "p = Concat<axis=1>(o, q)" if place else "p = Concat<axis=1>(q, o)"
    nodes = NETWORK + "y = MatMul(z, column) q = Sigmoid(y) o = Sub(one, q)" + pair + ending
    column, numbers = 300 * np.linspace(-1, 1, 5)[:, None], NUMBERS
    path = save(nodes, gives=f"float[N, 2] {'p2' if ending else 'p'}", column=column, **numbers)
    classifier = OnnxClassifier(path)
    assert classifier.output.activation == "softmax"
    z = OnnxClassifier(save(NETWORK)).logits(IMAGES) @ column
    expected = np.concatenate([0 * z, z] if place else [z, 0 * z], axis=1)
    labels = expected.argmax(axis=1)
    logits, _, gradient = classifier.loss_and_gradient(IMAGES, labels, "log_odds")
    np.testing.assert_allclose(logits, expected, atol=2e-4)
    assert (np.abs(gradient).max(axis=(1, 2, 3)) > 1).all()


STACKED = "s = Unsqueeze(o, last) t = Unsqueeze(r, last) p = Concat<axis=-1>(s, t)"
"""As torch.stack joins one number a row."""


@pytest.mark.parametrize(
    "ending",
    [
        f"q = Sigmoid(y) r = Squeeze(q, last) o = Sub(one, r) {STACKED}",
        "k = Sigmoid(y) q = Gather<axis=1>(k, first) o = Sub(one, q)"
        f" l = Sigmoid(y) r = Gather<axis=1>(l, first) {STACKED}",
        "m = Neg(y) o = Sigmoid(m) q = Sigmoid(y) p = Concat<axis=1>(o, q)",
        "m = Neg(y) o = Sigmoid(m) q = Sub(one, o) p = Concat<axis=1>(o, q)",
    ],
)
def test_two_opposite_sigmoids_are_a_softmax_however_they_are_joined(ending, save):
    numbers = NUMBERS | {"column": np.linspace(-1, 1, 5)[:, None]}
    numbers |= {"last": np.array([-1]), "first": np.array(0)}
    nodes = NETWORK + "y = MatMul(z, column) "
    classifier = OnnxClassifier(save(nodes + ending, gives="float[N, 2] p", **numbers))
    assert classifier.output.activation == "softmax"
    pair = "n0 = Sub(y, y) p = Concat<axis=1>(n0, y)"
    expected = OnnxClassifier(save(nodes + pair, gives="float[N, 2] p", **numbers))
    for a, b in zip(
        classifier.loss_and_gradient(IMAGES, LABELS % 2),
        expected.loss_and_gradient(IMAGES, LABELS % 2),
        strict=True,
    ):
        np.testing.assert_allclose(a, b, atol=1e-6)


@pytest.mark.parametrize(
    ("ending", "activation"),
    [
        ("o = Sub(one, q) p = Concat<axis=1>(o, r)", None),  # of two logits
        ("p = Concat<axis=1>(q, q)", "mixture"),  # a sigmoid of each class, joined
        ("o = Sub(hundred, q) p = Concat<axis=1>(o, q)", None),
    ],
)
def test_two_sigmoids_that_are_no_opposites_are_no_softmax(ending, activation, save):
    nodes = NETWORK + "y = MatMul(z, column) q = Sigmoid(y) v = Abs(y) r = Sigmoid(v) " + ending
    numbers = NUMBERS | {"column": np.linspace(-1, 1, 5)[:, None]}
    path = save(nodes, gives="float[N, 2] p", **numbers)
    assert OnnxClassifier(path).output.activation == activation


@pytest.mark.parametrize("opset", [12, 18])
@pytest.mark.parametrize("inner", [False, True])
def test_several_sigmoids_beside_what_is_left_of_them_are_no_softmax(opset, inner, save):
    """Each would have its own opposite; within a network they are features."""
    pairs = " q = Sigmoid(z) o = Sub(one, q) p = Concat<axis=1>(o, q)"
    ending = " l = MatMul(p, last)" if inner else ""
    last = np.random.default_rng(0).normal(size=(10, 4))
    gives = "float[N, 4] l" if inner else "float[N, 10] p"
    path = save(NETWORK + pairs + ending, gives=gives, opset=opset, last=last, **NUMBERS)
    q = 1 / (1 + np.exp(-OnnxClassifier(save(NETWORK)).logits(IMAGES).astype(float)))
    p = np.concatenate([1 - q, q], axis=1)
    if inner:
        np.testing.assert_allclose(OnnxClassifier(path).logits(IMAGES), p @ last, atol=1e-5)
        return
    logits = OnnxClassifier(path).logits(IMAGES)
    np.testing.assert_array_equal(logits.argmax(axis=1), p.argmax(axis=1))


def test_how_sure_a_file_is_of_its_label_is_no_score(save):
    ending = "q = Softmax(z) p = ReduceMax<keepdims=0>(q, axes) l = ArgMax<axis=1, keepdims=0>(z)"
    path = save(NETWORK + ending, gives="int64[N] l, float[N] p", axes=np.array([1]))
    with pytest.raises(UserError, match=r"shape \(batch, classes\), got 'l' .*classifier"):
        OnnxClassifier(path)


@pytest.mark.parametrize(
    ("ending", "gives"),
    [
        ("q = Softmax<axis=1>(f) ", "float[N, 5, 1, 1] q"),
        ("q = Identity(f)", "float[N, 5, 1, 1] q"),
        ("q = Unsqueeze(z, axes)", "float[N, 1, 5] q"),
    ],
)
def test_axes_of_1_beside_the_classes_are_left_out(ending, gives, save):
    classifier = OnnxClassifier(save(NETWORK + ending, gives=gives, axes=np.array([1])))
    assert classifier.output.classes == 5
    assert_attacked_like(classifier, OnnxClassifier(save(NETWORK)))


def test_labels_features_and_boxes_are_left_aside(save):
    ending = "p = Softmax(z) l = ArgMax<axis=1, keepdims=0>(z)"
    gives = "int64[N] l, float[N, 5, 8, 8] d, float[N, 5] p"
    nodes = (NETWORK + ending).replace("c = Conv<strides=[2, 2]>", "c = Conv<pads=[1, 1, 1, 1]>")
    classifier = OnnxClassifier(save(nodes, gives=gives))
    assert (classifier.output.name, classifier.output.others) == ("p", ("l", "d"))
    assert "left aside: 'l', 'd'" in classifier.output.in_words


def test_logits_beside_their_probabilities_are_one_output(save):
    path = save(NETWORK + "p = Softmax(z)", gives="float[N, 5] z, float[N, 5] p")
    assert OnnxClassifier(path).output.name == "z"
    assert_attacked_like(OnnxClassifier(path, output="p"), OnnxClassifier(path))


def test_of_several_that_can_be_scores_one_has_to_be_named(save):
    path = save(
        NETWORK + "y = MatMul(z, mix)", gives="float[N, 5] z, float[N, 4] y", mix=np.ones((5, 4))
    )
    with pytest.raises(UserError, match=r"several outputs .*'z' float \(N, 5\), 'y'.*--output y"):
        OnnxClassifier(path)
    assert OnnxClassifier(path, output="z").output.others == ("y",)
    with pytest.raises(UserError, match="output 'zz' is unknown"):
        OnnxClassifier(path, output="zz")


@pytest.mark.parametrize("gives", ["int64[N] l", "float[N, 5, 3, 3] d"])
def test_an_output_that_is_no_score_is_refused(gives, save):
    path = save(NETWORK + "l = ArgMax<axis=1, keepdims=0>(z)", gives=gives)
    with pytest.raises(UserError, match=r"shape \(batch, classes\), got '[ld]' .*classifier"):
        OnnxClassifier(path)
    with pytest.raises(UserError, match="expected numbers of shape"):
        OnnxClassifier(path, output=gives[-1])


def test_the_command_says_what_it_attacks(save, rnascl, tmp_path):
    path = save(
        NETWORK + "y = MatMul(z, mix) p = Sigmoid(y)",
        gives="float[N, 5] z, float[N, 4] p",
        mix=np.ones((5, 4)),
    )
    data, out = tmp_path / "images.npz", tmp_path / "out.json"
    np.savez(data, x=IMAGES, y=LABELS % 4)
    command = ("attack", path, "--data", data, "--attacks", "fgsm", "--check", 0)
    refused = rnascl(*command)
    assert refused.code == 2
    assert "--output p" in refused.err
    result = rnascl(*command, "--output", "p", "--json", out)
    assert result.code == 0, result.err
    for words in ("'x'", "4 classes in 'p'", "before its sigmoid", "left aside: 'z'"):
        assert words in result.err
    assert len(json.loads(out.read_text())["class_counts"]) == 4


def test_what_onnxruntime_runs_is_not_refused(save):
    """Graphs without a name, weights that are no inputs in version 3, the long name of a domain."""
    expected = OnnxClassifier(save(NETWORK))
    model = onnx.load(save(NETWORK, opset=8))
    model.ir_version = 3
    model.graph.name = ""
    model.opset_import[0].domain = "ai.onnx"
    for node in model.graph.node:
        node.domain = "ai.onnx"
    model.metadata_props.add(key="names", value="one\ntwo")
    path = save(NETWORK)
    path.write_bytes(model.SerializeToString())
    assert_attacked_like(OnnxClassifier(path), expected)
