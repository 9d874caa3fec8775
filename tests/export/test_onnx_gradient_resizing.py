"""Resize as onnxruntime runs it, which is not in all cases what onnx's own evaluator makes."""

from __future__ import annotations

import itertools

import numpy as np
import onnxruntime
import pytest
from gradient_cases import Case, in_onnxruntime

from rnascl_keras.export.onnx_gradient import input_gradient_model

HEIGHT, WIDTH = 6, 7
PLACES = ("half_pixel", "align_corners", "asymmetric", "pytorch_half_pixel", "half_pixel_symmetric")
SCALES = ((1.7, 1.7), (0.6, 2.4), (1, 1.3), (2, 3))
CASES = list(itertools.product(("nearest", "linear", "cubic"), PLACES, SCALES))


@pytest.mark.parametrize(("mode", "place", "scales"), CASES, ids=str)
def test_the_gradient_is_that_of_onnxruntimes_own_resize(mode, place, scales):
    """The map is linear, so its matrix is what unit images become."""
    factors = {"s": np.float32([1, 1, *scales])}
    body = f'h = Resize<mode="{mode}", coordinate_transformation_mode="{place}">(x, , s)'
    model = Case("resize", body, (1, HEIGHT, WIDTH), factors).model(np.float32)
    session = onnxruntime.InferenceSession(model.SerializeToString())
    unit_images = np.eye(HEIGHT * WIDTH, dtype=np.float32).reshape(-1, 1, HEIGHT, WIDTH)
    jacobian = np.concatenate([session.run(["y"], {"x": x[None]})[0] for x in unit_images])
    slopes = np.random.default_rng(0).normal(size=(1, jacobian.shape[1])).astype(np.float32)
    images = np.random.default_rng(1).uniform(size=(1, 1, HEIGHT, WIDTH)).astype(np.float32)
    made = in_onnxruntime(input_gradient_model(model, "linear"), images=images, slopes=slopes)
    expected = (jacobian @ slopes[0]).reshape(images.shape)
    np.testing.assert_allclose(made["gradient"], expected, atol=1e-5)
