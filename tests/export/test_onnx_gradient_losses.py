"""The losses against NumPy and central differences, and where they saturate."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from gradient_cases import by_differences, in_onnxruntime, run
from scipy.special import log_softmax, logsumexp

from rnascl_keras.errors import UserError
from rnascl_keras.export.onnx_gradient import input_gradient_model


def rows(kind: str = "double", classes: object = 6) -> onnx.ModelProto:
    """A model whose logits are its input."""
    return onnx.parser.parse_model(
        f'<ir_version: 8, opset_import: ["": 18]> rows ({kind}[N,{classes}] x) => '
        f"({kind}[N,{classes}] y) {{ y = Identity(x) }}"
    )


def others(z, y):
    return np.delete(z, y)


def cross_entropy(z, y, t):
    return -log_softmax(z)[y]


def log_odds(z, y, t):
    return logsumexp(others(z, y)) - z[y]


def margin(z, y, t):
    return others(z, y).max() - z[y]


def difference(z, y, t):
    return z[t] - z[y]


def dlr(z, y, t):
    ranked = np.sort(z)[::-1]
    return margin(z, y, t) / (ranked[0] - ranked[2])


def targeted_dlr(z, y, t):
    ranked = np.sort(z)[::-1]
    return (z[t] - z[y]) / (ranked[0] - (ranked[2] + ranked[3]) / 2)


LOSSES = [cross_entropy, log_odds, margin, difference, dlr, targeted_dlr]


@pytest.mark.parametrize("classes", [6, "K"])
@pytest.mark.parametrize("loss", LOSSES, ids=lambda loss: loss.__name__)
def test_value_and_gradient(loss, classes):
    model = input_gradient_model(rows(classes=classes), loss.__name__)
    random = np.random.default_rng(0)
    logits = random.normal(0, 3, (24, 6))
    labels, targets = random.integers(0, 6, (2, 24))
    feeds = {"images": logits, "labels": labels, "targets": targets}
    result = run(model, **{i.name: feeds[i.name] for i in model.graph.input})
    told = list(zip(logits, labels, targets, strict=True))
    expected = [loss(z, y, t) for z, y, t in told]
    np.testing.assert_array_equal(result["logits"], logits)
    np.testing.assert_allclose(result["loss"], expected, atol=1e-9)
    slopes = [
        by_differences(lambda x, y=y, t=t: np.array([loss(z, y, t) for z in x]), z, 1e-6)
        for z, y, t in told
    ]
    np.testing.assert_allclose(result["gradient"], slopes, atol=1e-7)
    # both right and wrong predictions were met
    assert 0 < np.sum(logits.argmax(axis=1) == labels) < 24


def test_cross_entropy_does_not_cancel_and_log_odds_do_not_vanish():
    logits = np.float32([[60, 0, -1], [300, 0, -1], [-300, 0, -1]])
    labels = np.zeros(3, np.int64)
    plain = in_onnxruntime(input_gradient_model(rows("float", 3)), images=logits, labels=labels)
    np.testing.assert_allclose(plain["loss"][0], (1 + np.exp(-1)) * np.exp(-60.0), rtol=1e-4)
    np.testing.assert_allclose(plain["gradient"][0, 1], np.exp(-60.0), rtol=1e-4)
    np.testing.assert_array_equal(plain["gradient"][1], 0)
    np.testing.assert_allclose(plain["loss"][2], 300 + np.log1p(np.exp(-1)), rtol=1e-6)
    odds = input_gradient_model(rows("float", 3), "log_odds")
    odds = in_onnxruntime(odds, images=logits, labels=labels)
    share = 1 / (1 + np.exp(-1))
    np.testing.assert_allclose(odds["gradient"], [[-1, share, 1 - share]] * 3, rtol=1e-6)


def test_of_logits_that_tie_the_first_is_raised():
    model = input_gradient_model(rows("float", 4), "margin")
    logits = np.float32([[1, 2, 2, 0], [2, 2, 2, 2]])
    gradient = in_onnxruntime(model, images=logits, labels=np.array([0, 1]))["gradient"]
    np.testing.assert_array_equal(gradient, [[-1, 1, 0, 0], [1, -1, 0, 0]])


def test_a_label_out_of_range_is_an_error_when_the_model_runs():
    model = input_gradient_model(rows("float", 4))
    with pytest.raises(Exception, match="[Oo]ut of range"):
        in_onnxruntime(model, images=np.zeros((1, 4), np.float32), labels=np.array([4]))


@pytest.mark.parametrize(
    ("loss", "classes", "complaint"),
    [
        ("cross_entropie", 4, "unknown; expected one of .* Did you mean 'cross_entropy'"),
        ("dlr", 2, "dlr needs 3 classes or more; the model has 2"),
        ("targeted_dlr", 3, "needs 4 classes or more; the model has 3"),
    ],
)
def test_a_loss_that_cannot_be_had_is_refused(loss, classes, complaint):
    with pytest.raises(UserError, match=complaint):
        input_gradient_model(rows("float", classes), loss)
