"""Types that a float twin widens, and operators on them that stand alone in a file."""

from __future__ import annotations

import numpy as np
import onnx
import pytest

from rnascl_keras.errors import UserError
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


BYTES = {
    "shifted as whole numbers": (
        "u = Cast<to=6>(x) t = Transpose<perm=[0, 1, 3, 2]>(u) s = Sub(t, mid) w = Cast<to=7>(s)"
        "v = Cast<to=1>(w) n = Div(v, most)",
        "u = Mul(x, most) t = Transpose<perm=[0, 1, 3, 2]>(u) s = Sub(t, float_mid)"
        "n = Div(s, most)",
    ),
    "an integer product, dequantised by channels": (
        "u = ConvInteger(x, w0, zero) n = DequantizeLinear<axis=1>(u, scales)",
        "t = Mul(x, most) s = Sub(t, float_zero) u = Conv(s, float_w0) n = Mul(u, columns)",
    ),
    "an integer product and its bias": (
        "u = ConvInteger(x, w0, zero) t = Add(u, mid) v = Cast<to=1>(t) n = Mul(v, columns)",
        "t = Mul(x, most) s = Sub(t, float_zero) u = Conv(s, float_w0) v = Add(u, float_mid)"
        "n = Mul(v, columns)",
    ),
}


@pytest.mark.parametrize("kind", BYTES)
def test_whole_numbers_between_bytes_and_floats(kind, save):
    scales = np.array([1e-2, 2e-2, 3e-2], np.float32)
    w0 = np.random.default_rng(4).integers(-9, 9, (3, 3, 3, 3)).astype(np.int8)
    arrays = {"most": np.float32(255), "mid": np.int32(100), "zero": np.uint8(3), "w0": w0}
    arrays |= {f"float_{name}": np.float32(arrays[name]) for name in ("mid", "zero", "w0")}
    arrays |= {"scales": scales, "columns": scales.reshape(3, 1, 1)}
    own, floats = (nodes + CONVOLUTIONS for nodes in BYTES[kind])
    path, plain = save(own, takes="uint8[N, 3, 8, 8] x", **arrays), save(floats, **arrays)
    whole = np.rint(IMAGES * 255) / np.float32(255)
    given, true = (OnnxClassifier(p).loss_and_gradient(whole, LABELS) for p in (path, plain))
    for a, b in zip(given, true, strict=True):
        np.testing.assert_allclose(a, b, atol=1e-5)


def test_whole_numbers_that_choose_are_refused_by_name(save):
    nodes = "i = Cast<to=6>(x) n = Gather(shades, i)"
    shades = np.linspace(0, 1, 256) ** 2
    path = save(nodes + CONVOLUTIONS, takes="uint8[N, 3, 8, 8] x", shades=shades)
    classifier = OnnxClassifier(path)
    assert classifier.logits(IMAGES).std() > 0.01
    with pytest.raises(UserError, match="no gradient through .*Gather"):
        classifier.check_gradient(IMAGES)


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


def test_brain_floats_between_casts(save):
    """The casts round, and have the gradient of what they cast."""
    ends = "h = Cast<to=16>(x) n = Cast<to=1>(h)", " e = Cast<to=16>(z) y = Cast<to=1>(e)"
    path = save(ends[0] + CONVOLUTIONS + ends[1], gives="float[N, 5] y")
    plain = save("n = Identity(x)" + CONVOLUTIONS)
    images = np.rint(IMAGES * 128) / np.float32(128)  # of 8 bits, as many as these have
    logits, _, given = OnnxClassifier(path).loss_and_gradient(images, LABELS)
    expected, _, true = OnnxClassifier(plain).loss_and_gradient(images, LABELS)
    np.testing.assert_allclose(logits, expected, rtol=2**-8)
    np.testing.assert_allclose(given, true, atol=2e-2 * np.abs(true).max())
