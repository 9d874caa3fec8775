"""Files whose probabilities are changed once more: of them the logits are still attacked, or they
are refused."""

from __future__ import annotations

import numpy as np
import onnxruntime
import pytest

from rnascl_keras.attacks.inputs import check_logits
from rnascl_keras.errors import UserError
from rnascl_keras.export import OnnxClassifier
from rnascl_keras.export.gradient.mixture import MIXTURE
from tests.small_onnx import CONVOLUTIONS

IMAGES = np.random.default_rng(1).uniform(0, 1, (6, 8, 8, 3)).astype(np.float32)
LABELS = np.array([0, 1, 2, 3, 4, 0])
NETWORK = "n = Identity(x)" + CONVOLUTIONS
NUMBERS = {
    "one": np.float32(1),
    "two": np.float32(2),
    "most": np.float32(255),
    "row": np.array([-1]),
    "k": np.array([3]),
    "start": np.array([0]),
    "first": np.array([1]),
    "last": np.array([9]),
    "pair": np.random.default_rng(0).normal(0, 9, (5, 2)),
    "column": 9 * np.linspace(-1, 1, 5)[:, None],
    "scale": np.float32(1 / 255),
    "zero": np.uint8(0),
}


@pytest.mark.parametrize(
    ("ending", "kind"),
    [
        ("q = Softmax(z) l = Log(q) t = Div(l, two) p = Softmax(t)", "float"),
        ("q = Softmax(z) p = Softmax(q)", "float"),
        ("q = Sigmoid(z) p = Softmax(q)", "float"),
        ("q = Softmax(z) t = Mul(q, most) p = Cast<to=2>(t)", "uint8"),
        ("q = Softmax(z) t = Mul(q, most) p = Cast<to=6>(t)", "int32"),
        ("q = Softmax(z) p = QuantizeLinear(q, scale, zero)", "uint8"),
    ],
)
def test_the_logits_are_those_before_the_first_activation(ending, kind, save):
    path = save(NETWORK + ending, gives=f"{kind}[N, 5] p", **NUMBERS)
    classifier, bare = OnnxClassifier(path), OnnxClassifier(save(NETWORK))
    given = classifier.loss_and_gradient(IMAGES, LABELS)
    for a, b in zip(given, bare.loss_and_gradient(IMAGES, LABELS), strict=True):
        np.testing.assert_allclose(a, b, atol=1e-6)
    np.testing.assert_allclose(classifier.logits(IMAGES), given[0], atol=1e-6)


@pytest.mark.parametrize(
    "ending",
    [
        "y = MatMul(z, pair) q = Softmax(y) p = Slice(q, first, last, first)",
        "y = MatMul(z, pair) q = Softmax(y) p = Gather<axis=1>(q, first)",
        "y = MatMul(z, column) q = Sigmoid(y) p = Sub(one, q)",
    ],
)
def test_one_probability_of_two(ending, save):
    path = save(NETWORK + ending, gives="float[N, 1] p", **NUMBERS)
    classifier = OnnxClassifier(path)
    assert classifier.output.is_binary and classifier.output.activation == MIXTURE
    (p,) = onnxruntime.InferenceSession(path).run(["p"], {"x": IMAGES.transpose(0, 3, 1, 2)})
    p = p.astype(np.float64)
    odds = classifier.logits(IMAGES)[:, 1:]
    np.testing.assert_allclose(odds, np.log(p) - np.log1p(-p), atol=1e-3)
    np.testing.assert_allclose(classifier.loss_and_gradient(IMAGES, LABELS % 2)[0][:, 1:], odds)


def test_a_background_that_is_cut_off(save):
    ending = "q = Softmax(z) p = Slice(q, first, last, first)"
    classifier = OnnxClassifier(save(NETWORK + ending, gives="float[N, 4] p", **NUMBERS))
    assert (classifier.output.activation, classifier.output.classes) == (MIXTURE, 4)
    z = OnnxClassifier(save(NETWORK)).logits(IMAGES)
    expected = z[:, 1:] - np.logaddexp.reduce(z, axis=1, keepdims=True)
    np.testing.assert_allclose(classifier.logits(IMAGES), expected, atol=1e-5)


CONFIDENCE = """
  q = Slice(z, start, first, first) s = Sigmoid(q) o = Sub(one, s) on = Greater(s, o)
"""
"""p and 1 - p, and which is the larger."""


@pytest.mark.parametrize(
    ("ending", "gives", "name"),
    [
        ("q = Softmax(z) p, l = TopK<axis=1>(q, k)", "float[N, 3] p, int64[N, 3] l", None),
        ("p, l = TopK<axis=1>(z, k)", "float[N, 3] p, int64[N, 3] l", "p"),
        ("p = ReduceMax<keepdims=1>(z, first) l = ArgMax(z)", "float[N, 1] p, int64[M, 5] l", "p"),
        ("q = Softmax(z) p = ReduceMax<keepdims=0>(q, first)", "float[N] p", None),
        (CONFIDENCE + "p = Max(s, o) l = Cast<to=6>(on)", "int32[N, 1] l, float[N, 1] p", None),
        (
            CONFIDENCE + "p = Where(on, s, o) l = Cast<to=6>(on)",
            "int32[N, 1] l, float[N, 1] p",
            "p",
        ),
    ],
)
def test_the_largest_scores_alone_are_not_attacked(ending, gives, name, save):
    path = save(NETWORK + ending, gives=gives, **NUMBERS)
    words = "largest scores of an image only" if name else "with the scores of all classes"
    with pytest.raises(UserError, match=words):
        OnnxClassifier(path, output=name)


def test_a_maximum_over_places_is_a_score(save):
    nodes = "n = Identity(x)" + CONVOLUTIONS.replace("z = Flatten(f)", "")
    nodes += "y = ReduceMax<keepdims=0>(d, places)"
    path = save(nodes, gives="float[N, 5] y", places=np.array([2, 3]))
    assert OnnxClassifier(path).logits(IMAGES).shape == (6, 5)


RANDOM = np.random.default_rng(0)
SHARES = RANDOM.dirichlet(np.ones(5), 12).astype(np.float32)


@pytest.mark.parametrize(
    "logits",
    [
        SHARES,
        SHARES[:1],
        100 * SHARES,
        SHARES[:, 1:],
        np.stack([np.zeros(12), RANDOM.uniform(size=12)], axis=1).astype(np.float32),
    ],
    ids=["all", "of one image", "a multiple", "some", "of one class"],
)
def test_probabilities_that_no_graph_shows_are_refused(logits):
    with pytest.raises(UserError, match="gives probabilities, or some or a multiple of them"):
        check_logits(logits, np.zeros(len(logits), int))


@pytest.mark.parametrize(
    "logits",
    [
        RANDOM.normal(0, 3, (12, 5)),
        RANDOM.uniform(0, 3, (12, 5)),
        SHARES - SHARES.mean(axis=1, keepdims=True),
        np.stack([np.zeros(4), RANDOM.uniform(size=4)], axis=1),  # of few images, by chance
        np.tile([0.1, 0.2, 0.3], (12, 1)),  # a network that says the same of all
    ],
)
def test_logits_are_not_taken_for_probabilities(logits):
    check_logits(logits, np.zeros(len(logits), int))


@pytest.mark.parametrize("order", [1, -1])
def test_one_small_number_an_image_is_a_logit_still(order):
    """Of z alone the logits are (0, z): none need be negative, and each image's may add up to
    less than 1."""
    logits = np.zeros((20, 2))
    logits[:, 1] = np.linspace(0.1, 0.4, 20)
    check_logits(logits[:, ::order], np.zeros(20, int))
