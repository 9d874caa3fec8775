"""Files in opsets newer than those that the rules are written for."""

from __future__ import annotations

import numpy as np
import pytest

from rnascl_keras.errors import UserError
from rnascl_keras.export import OnnxClassifier
from tests.file_gradients import IMAGES, check_against_differences

OPERATORS = {
    "RMSNormalization": (23, "k = MatMul(t, wide) r0 = RMSNormalization(k, scale)"),
    "Attention": (
        23,
        "q = MatMul(t, wide) k = MatMul(t, other)"
        " r0 = Attention<q_num_heads=1, kv_num_heads=1>(q, k, q)",
    ),
    "Swish": (24, "k = MatMul(t, wide) r0 = Swish<alpha=1.3>(k)"),
}


def written(save, opset, nodes, **arrays):
    random = np.random.default_rng(5)
    arrays |= {name: random.normal(size=(3, 5)) for name in ("wide", "other")}
    arrays |= {"tokens": np.array([0, 3, 64]), "one": np.array([1]), "scale": np.linspace(1, 2, 5)}
    text = "u = Reshape(x, tokens) t = Transpose<perm=[0, 2, 1]>(u)" + nodes
    text += " r1 = Tanh(r0) z = ReduceMean<keepdims=0>(r1, one)"
    return save(text, opset=opset, **arrays)


@pytest.mark.parametrize("operator", OPERATORS)
def test_operators_that_are_newer_by_their_definition(operator, save):
    check_against_differences(written(save, *OPERATORS[operator]))


def test_what_cannot_be_written_in_an_older_opset_can_be_attacked_by_score(save):
    nodes = "k = MatMul(t, wide) r0 = TensorScatter(k, k)"
    classifier = OnnxClassifier(written(save, 24, nodes))
    with pytest.raises(UserError, match="cannot be converted from opset 24 .* by score"):
        classifier.check_gradient(IMAGES)
