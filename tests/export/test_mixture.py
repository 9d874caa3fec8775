"""Probabilities that are mixed of several softmaxes or sigmoids: their logarithm is attacked."""

from __future__ import annotations

import numpy as np
import onnx
import onnxruntime
import pytest

from rnascl_keras.attacks import PGD
from rnascl_keras.errors import UserError
from rnascl_keras.evaluation.evaluate import evaluate
from rnascl_keras.export import OnnxClassifier
from tests.small_onnx import CONVOLUTIONS

RANDOM = np.random.default_rng(2)
IMAGES = RANDOM.uniform(0, 1, (6, 8, 8, 3)).astype(np.float32)
LABELS = np.array([0, 1, 2, 3, 4, 0])
HEADS = "n = Identity(x)" + CONVOLUTIONS + "u = MatMul(z, one_head) v = MatMul(z, other_head)"
FIVE = "float[N, 5] p"
ARRAYS = {
    "one_head": RANDOM.normal(0, 6, (5, 5)),
    "other_head": RANDOM.normal(0, 6, (5, 5)),
    "half": np.float32(0.5),
    "two": np.float32(2),
    "zero": np.float32(0),
    "classes_weights": np.array([0.2, 0.3, 0.1, 0.9, 1]),
    "by_member": np.array([[0.3, 0.7]]),
    "first": np.array([0]),
    "classes": np.array([1]),
    "members_apart": np.array([2, -1, 5]),
    "column": RANDOM.normal(size=(5, 1)),
}
TWO = "q = Softmax<axis=1>(u) r = Softmax<axis=1>(v) "
STACKED = "q1 = Unsqueeze(q, first) r1 = Unsqueeze(r, first) s = Concat<axis=0>(q1, r1) "
MIXTURES = {
    "mean": TWO + "s = Add(q, r) p = Mul(s, half)",
    "over two": TWO + "s = Add(q, r) p = Div(s, two)",
    "Mean": TWO + "p = Mean(q, r)",
    "sum from zero on": TWO + "k = Add(zero, q) s = Add(k, r) p = Div(s, two)",
    "weighted": TWO + "k = Mul(q, half) p = Add(k, r)",
    "weights of classes": TWO + "k = Mul(q, classes_weights) p = Add(k, r)",
    "stacked": TWO + STACKED + "p = ReduceMean<keepdims=0>(s, first)",
    "weights of members": TWO
    + "q1 = Unsqueeze(q, classes) r1 = Unsqueeze(r, classes) s = Concat<axis=1>(q1, r1)"
    " t = MatMul(by_member, s) p = Squeeze(t, classes)",
    "one softmax of both": "w = Concat<axis=0>(u, v) y = Reshape(w, members_apart)"
    " s = Softmax<axis=2>(y) p = ReduceMean<keepdims=0>(s, first)",
    "product": TWO + "p = Mul(q, r)",
    "product of sum 1": TWO + "k = Mul(q, r) t = ReduceSum<keepdims=1>(k, classes) p = Div(k, t)",
    "geometric mean": TWO + "k = Mul(q, r) p = Sqrt(k)",
    "larger": TWO + "p = Max(q, r)",
    "exp of log": "k = LogSoftmax<axis=1>(u) q = Exp(k) r = Softmax<axis=1>(v)"
    " s = Add(q, r) p = Mul(s, half)",
    "sigmoids": "q = Sigmoid(u) r = Sigmoid(v) s = Add(q, r) p = Mul(s, half)",
}


# a stump each: where its pixel is at most a half, the first leaf's class
TREES_THAT_VOTE = {
    "nodes_treeids": [0, 0, 0, 1, 1, 1],
    "nodes_nodeids": [0, 1, 2] * 2,
    "nodes_featureids": [3, 0, 0, 5, 0, 0],
    "nodes_values": [0.5, 0.0, 0.0] * 2,
    "nodes_modes": ["BRANCH_LEQ", "LEAF", "LEAF"] * 2,
    "nodes_truenodeids": [1, 0, 0] * 2,
    "nodes_falsenodeids": [2, 0, 0] * 2,
    "class_treeids": [0, 0, 1, 1],
    "class_nodeids": [1, 2, 1, 2],
    "class_ids": [0, 1, 0, 2],
    "class_weights": [0.6, 0.6, 0.4, 0.4],
    "classlabels_int64s": [0, 1, 2],
}


def test_trees_that_vote_are_attacked_by_score(tmp_path):
    """The logarithm of the probabilities that scikit-learn's converter leaves beside a label."""
    node = onnx.helper.make_node(
        "TreeEnsembleClassifier", ["x"], ["l", "p"], domain="ai.onnx.ml", **TREES_THAT_VOTE
    )
    described = [("x", 1, ["N", 16]), ("l", 7, ["N"]), ("p", 1, ["N", 3])]
    x, label, p = (onnx.helper.make_tensor_value_info(*value) for value in described)
    opsets = [onnx.helper.make_opsetid("", 17), onnx.helper.make_opsetid("ai.onnx.ml", 3)]
    graph = onnx.helper.make_graph([node], "g", [x], [label, p])
    path = tmp_path / "trees.onnx"
    onnx.save(onnx.helper.make_model(graph, opset_imports=opsets, ir_version=8), path)

    images = RANDOM.uniform(0, 1, (12, 4, 4, 1)).astype(np.float32)
    given = onnxruntime.InferenceSession(path).run(["p"], {"x": images.reshape(12, 16)})[0]
    classifier = OnnxClassifier(path)
    logits = classifier.logits(images)
    np.testing.assert_allclose(np.exp(logits), given, atol=1e-6)
    assert "the logarithm of them is attacked" in classifier.in_words
    found, _ = evaluate(
        classifier, images, given.argmax(1), attacks=("square",), epsilon=0.3, check=0
    )
    assert found.accuracy["clean"] == 1 and found.accuracy["square"] < 1
    with pytest.raises(UserError, match="square, which needs logits only"):
        classifier.loss_and_gradient(images, given.argmax(1))


def run(path, images):
    """The file's own answer, in float64."""
    session = onnxruntime.InferenceSession(path)
    return session.run(["p"], {"x": images.transpose(0, 3, 1, 2)})[0].astype(np.float64)


def losses_of(p, labels):
    """The cross-entropy of probabilities, made to sum to 1."""
    return np.log(p.sum(axis=1)) - np.log(p[np.arange(len(p)), labels])


@pytest.mark.parametrize("ending", MIXTURES.values(), ids=MIXTURES)
def test_the_gradient_is_that_of_finite_differences(ending, save):
    path = save(HEADS + ending, gives=FIVE, **ARRAYS)
    classifier = OnnxClassifier(path)
    assert classifier.output.activation == "mixture"
    assert "the logarithm of them is attacked" in classifier.in_words
    p = run(path, IMAGES)
    np.testing.assert_allclose(classifier.logits(IMAGES), np.log(p), atol=2e-5)
    logits, loss, gradient = classifier.loss_and_gradient(IMAGES, LABELS)
    np.testing.assert_allclose(logits, np.log(p), atol=2e-5)
    np.testing.assert_allclose(loss, losses_of(p, LABELS), atol=2e-5)
    for _ in range(4):
        way = np.sign(RANDOM.normal(size=IMAGES.shape)).astype(np.float32)
        step = np.float32(2e-3)
        ends = [losses_of(run(path, IMAGES + s * way), LABELS) for s in (step, -step)]
        found = (gradient * way).sum(axis=(1, 2, 3))
        np.testing.assert_allclose(found, (ends[0] - ends[1]) / (2 * step), rtol=5e-3, atol=5e-3)


def test_one_sigmoid_averaged_is_two_classes(save):
    """Of p alone, the logits are (0, log p - log(1 - p))."""
    ending = "i = MatMul(u, column) j = MatMul(v, column) q = Sigmoid(i) r = Sigmoid(j)"
    path = save(HEADS + ending + "p = Mean(q, r)", gives="float[N, 1] p", **ARRAYS)
    classifier = OnnxClassifier(path)
    assert (classifier.output.activation, classifier.output.classes) == ("mixture", 2)
    p = run(path, IMAGES)[:, 0]
    expected = np.stack([0 * p, np.log(p) - np.log(1 - p)], axis=1)
    np.testing.assert_allclose(classifier.logits(IMAGES), expected, atol=1e-4)


def test_members_that_are_sure_do_not_hide_the_gradient(save):
    """Probabilities of 1 and 1e-30 have no gradient to speak of; their logarithms have."""
    sure = ARRAYS | {"one_head": 9 * ARRAYS["one_head"], "other_head": 7 * ARRAYS["one_head"]}
    path = save(HEADS + MIXTURES["mean"], gives=FIVE, **sure)
    classifier = OnnxClassifier(path)
    p = run(path, IMAGES)
    assert (np.sort(p, axis=1)[:, -2] < 1e-4).any()
    _, _, gradient = classifier.loss_and_gradient(IMAGES, p.argmax(axis=1), "log_odds")
    assert np.isfinite(gradient).all()
    assert (np.abs(gradient).max(axis=(1, 2, 3)) > 1e-3).all()


def test_probabilities_of_zero_have_a_logarithm(save):
    far = {key: 1000 * value if "head" in key else value for key, value in ARRAYS.items()}
    path = save(HEADS + MIXTURES["mean"], gives=FIVE, **far)
    assert (run(path, IMAGES) == 0).any()
    logits, _, gradient = OnnxClassifier(path).loss_and_gradient(IMAGES, LABELS)
    assert np.isfinite(logits).all() and np.isfinite(gradient).all()


def test_the_averaged_file_is_attacked(save):
    """PGD on it does what it does on a file that gives the logarithm itself."""
    path = save(HEADS + MIXTURES["mean"], gives=FIVE, **ARRAYS)
    by_hand = save(HEADS + MIXTURES["mean"] + "l = Log(p)", gives="float[N, 5] l", **ARRAYS)
    labels = run(path, IMAGES).argmax(axis=1)
    found = [
        PGD(0.05, steps=5).perturb(OnnxClassifier(file), IMAGES, labels, seed=1)
        for file in (path, by_hand)
    ]
    np.testing.assert_allclose(*found, atol=1e-5)


@pytest.mark.parametrize(
    "ending",
    [
        TWO + "p = Sub(q, r)",  # below 0
        "q = Softmax<axis=1>(u) k = Relu(v) p = Mul(q, k)",  # logits under a gate
        "q = Softmax<axis=1>(u) p = MatMul(q, other_head)",
        "k = Relu(u) m = Relu(v) p = Add(k, m)",
        "k = LogSoftmax<axis=1>(u) m = LogSoftmax<axis=1>(v) p = Add(k, m)",
    ],
)
def test_what_is_no_mixture_stays(ending, save):
    path = save(HEADS + ending, gives=FIVE, **ARRAYS)
    classifier = OnnxClassifier(path)
    assert classifier.output.activation is None
    np.testing.assert_allclose(classifier.logits(IMAGES), run(path, IMAGES), atol=1e-6)


def test_half_precision_is_widened_before_the_logarithm(save):
    ending = "h = Cast<to=10>(u) i = Cast<to=10>(v) q = Softmax<axis=1>(h) r = Softmax<axis=1>(i)"
    path = save(HEADS + ending + "p = Mean(q, r)", gives="float16[N, 5] p", **ARRAYS)
    classifier = OnnxClassifier(path)
    assert classifier.logits(IMAGES).dtype == np.float32
    np.testing.assert_allclose(classifier.logits(IMAGES), np.log(run(path, IMAGES)), atol=0.01)
    _, _, gradient = classifier.loss_and_gradient(IMAGES, LABELS)
    assert (np.abs(gradient).max(axis=(1, 2, 3)) > 0).all()


def test_a_softmax_as_the_exponential_of_its_logarithm_is_taken_off(save):
    ending = "k = LogSoftmax<axis=1>(u) p = Exp(k)"
    classifier = OnnxClassifier(save(HEADS + ending, gives=FIVE, **ARRAYS))
    bare = OnnxClassifier(save(HEADS, gives="float[N, 5] u", **ARRAYS))
    assert classifier.output.activation == "softmax"
    np.testing.assert_allclose(classifier.logits(IMAGES), bare.logits(IMAGES), atol=1e-6)


def test_names_that_the_file_has_already_are_not_taken(save):
    path = save(HEADS + MIXTURES["mean"], gives=FIVE, **ARRAYS)
    model = onnx.load(path)
    for node in model.graph.node:
        node.input[:] = ["logits_0/least" if x == "q" else x for x in node.input]
        node.output[:] = ["logits_0/least" if x == "q" else x for x in node.output]
    onnx.save(model, path)
    assert OnnxClassifier(path).logits(IMAGES).shape == (6, 5)
