"""Types that a float twin widens, and operators on them that stand alone in a file."""

from __future__ import annotations

import numpy as np
import onnx
import pytest

from rnascl_keras.export import OnnxClassifier
from tests.file_gradients import IMAGES, LABELS, check_against_differences
from tests.small_onnx import CONVOLUTIONS

MICROSOFT = onnx.helper.make_opsetid("com.microsoft", 1)


@pytest.mark.parametrize("kind", [np.uint8, np.int16, np.uint16])
def test_quantisation_of_onnxruntimes_domain_alone(kind, save):
    """Without any kernel of integers beside it, as 16 bits are quantised before opset 21."""
    nodes = (
        "q = com.microsoft.QuantizeLinear(x, scale, zero)"
        "n = com.microsoft.DequantizeLinear(q, scale, zero)"
    )
    scale = np.float32(1 / 255 if kind is np.uint8 else 1e-4)
    arrays = {"scale": scale, "zero": kind(5)}
    path = save(nodes + CONVOLUTIONS, opset=17, imports=(MICROSOFT,), **arrays)
    plain = save("n = Identity(x)" + CONVOLUTIONS)
    whole = np.rint(IMAGES * 255) / np.float32(255)
    given, true = (OnnxClassifier(p).loss_and_gradient(whole, LABELS)[2] for p in (path, plain))
    np.testing.assert_allclose(given, true, atol=1e-3 * np.abs(true).max())
    if kind is not np.uint8:  # whose steps are too coarse for differences
        check_against_differences(path)


def test_names_of_the_twins_own_in_a_file(save):
    nodes = "float_twin = Cast<to=1>(float_pixels) n = Div(float_twin, most)"
    arrays = {"most": np.float32(255)}
    path = save(nodes + CONVOLUTIONS, takes="uint8[N, 3, 8, 8] float_pixels", **arrays)
    plain = save("n = Identity(x)" + CONVOLUTIONS)
    whole = np.rint(IMAGES * 255) / np.float32(255)
    given, true = (OnnxClassifier(p).loss_and_gradient(whole, LABELS)[2] for p in (path, plain))
    np.testing.assert_allclose(given, true, atol=1e-5)


def test_half_precision_in_a_branch_only(save):
    half = (
        "h = Cast<to=10>(x) two = Constant<value=float16 {2}>() d = Mul(h, two) o = Cast<to=1>(d)"
    )
    gives = "() => (float[N, 3, 8, 8] o)"
    branches = f"then_branch=b {gives} {{ {half} }}, else_branch=c {gives} {{ o = Identity(x) }}"
    path = save(f"n = If<{branches}>(always)" + CONVOLUTIONS, always=np.array(True))
    check_against_differences(path, step=0.01)
