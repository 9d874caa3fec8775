"""What scikit-learn's converter writes of scaling and linear models, attacked by gradient."""

from __future__ import annotations

import numpy as np
import onnx
import onnxruntime
import pytest

from rnascl_keras.evaluation.evaluate import evaluate
from rnascl_keras.export import OnnxClassifier
from tests.file_gradients import IMAGES, check_against_differences

RANDOM = np.random.default_rng(4)
HEAD = RANDOM.normal(0, 0.3, (192, 5)).astype(np.float32)
IMPORTS = [onnx.helper.make_opsetid("ai.onnx.ml", 3)]
ML = "ai.onnx.ml."


def listed(values):
    return "[" + ", ".join(f"{value:.6f}" for value in np.ravel(values)) + "]"


def linear(post_transform, made, x="x"):
    return (
        f"l, {made} = {ML}LinearClassifier<classlabels_ints=[3, 4, 5, 6, 7],"
        f' coefficients={listed(HEAD.T)}, intercepts=[0.1, 0.0, -0.2, 0.3, 0.0], post_transform="'
        f'{post_transform}">({x}) '
    )


SCALED = f"s = {ML}Scaler<offset=[0.4], scale=[3.0]>(x) "
SIGMOIDS_OF_ONE = (
    f"k = {ML}ArrayFeatureExtractor(u, second) m = Mul(k, falling) e = Exp(m) d = Add(e, one)"
    " v = Div(one, d) "
)
# nodes, and what turns our logits into what the file gives
KINDS = {
    "scaled": (SCALED + "z = MatMul(s, head)", "itself"),
    "of L1 norm": (f'n = {ML}Normalizer<norm="L1">(x) z = MatMul(n, head)', "itself"),
    "of L2 norm": (f'n = {ML}Normalizer<norm="L2">(x) z = MatMul(n, head)', "itself"),
    "linear": (linear("NONE", "z"), "itself"),
    "linear, scaled": (SCALED + linear("NONE", "z", "s"), "itself"),
    "softmax": (linear("SOFTMAX", "z"), "softmax"),
    "softmax, summed to 1": (
        linear("SOFTMAX", "p") + f'q = Cast<to=1>(p) z = {ML}Normalizer<norm="L1">(q)',
        "softmax",
    ),
    "sigmoids": (linear("LOGISTIC", "z"), "sigmoid"),
    "sigmoids, summed to 1": (
        linear("LOGISTIC", "p") + f'z = {ML}Normalizer<norm="L1">(p)',
        "softmax",
    ),
    "some columns": (linear("NONE", "p") + f"z = {ML}ArrayFeatureExtractor(p, some)", "itself"),
    "one class against the others": (
        linear("LOGISTIC", "p") + f"q = {ML}ArrayFeatureExtractor(p, some)"
        " r = Slice(p, third, fourth, third_axis) j = Concat<axis=1>(r, q)"
        " t = ReduceSum<keepdims=1>(j, third_axis) z = Div(j, t)",
        "softmax",
    ),
    "calibrated, zeros masked": (
        linear("NONE", "u") + SIGMOIDS_OF_ONE + "w = Concat<axis=1>(v, v, v, v, v)"
        " h = Mul(w, weights) t = ReduceSum<keepdims=1>(h, third_axis) b = Cast<to=9>(t)"
        " o = Not(b) i = Cast<to=1>(o) y = Add(t, i) a = Add(h, i) z = Div(a, y)",
        "softmax",
    ),
}
CONSTANTS = {
    "head": HEAD,
    "some": np.array([4, 0, 1, 2, 3]),
    "second": np.array([1]),
    "third": np.array([0]),
    "fourth": np.array([3]),
    "third_axis": np.array([1]),
    "falling": np.float32([-2]),
    "one": np.float32([1]),
    "weights": np.float32([[0.1, 0.2, 0.3, 0.25, 0.15]]),
}


def softmax(z):
    e = np.exp(z - z.max(axis=1, keepdims=True))
    return e / e.sum(axis=1, keepdims=True)


ENDS = {"itself": lambda z: z, "softmax": softmax, "sigmoid": lambda z: 1 / (1 + np.exp(-z))}


@pytest.mark.parametrize("kind", KINDS)
def test_the_logits_are_the_files_and_the_gradient_is_theirs(kind, save):
    nodes, end = KINDS[kind]
    classes = 8 if "others" in kind else 5
    path = save(
        nodes, takes="float[N, 192] x", gives=f"float[N, {classes}] z", imports=IMPORTS, **CONSTANTS
    )
    given = onnxruntime.InferenceSession(path).run(["z"], {"x": IMAGES.reshape(len(IMAGES), -1)})
    classifier = OnnxClassifier(path, layout="NHWC")
    ours = ENDS[end](classifier.logits(IMAGES).astype(np.float64))
    np.testing.assert_allclose(ours, given[0], rtol=1e-6, atol=5e-6)
    if "calibrated" not in kind:  # all its classes rise together, so no margin has a gradient
        check_against_differences(path, layout="NHWC")
    found, _ = evaluate(
        classifier, IMAGES, given[0].argmax(1), attacks=("pgd",), epsilon=0.3, check=0
    )
    assert found.accuracy["clean"] == 1
    assert found.accuracy["pgd20"] < 1 or "calibrated" in kind


def test_an_image_of_zeros_has_no_norm(save):
    nodes = f'n = {ML}Normalizer<norm="L2">(x) z = MatMul(n, head)'
    path = save(nodes, takes="float[N, 192] x", gives="float[N, 5] z", imports=IMPORTS, head=HEAD)
    black = np.zeros((1, 8, 8, 3), np.float32)
    assert (OnnxClassifier(path, layout="NHWC").logits(black) == 0).all()
