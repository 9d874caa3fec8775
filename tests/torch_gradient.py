"""A network exported from PyTorch, and its gradient inside onnxruntime against autograd's."""

from __future__ import annotations

import contextlib
import io
import warnings
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from rnascl_keras.export import OnnxClassifier


def export(network: nn.Module, path, opset: int, *, dynamo: bool) -> None:
    if dynamo:
        pytest.importorskip("onnxscript", reason="PyTorch's exporter needs onnxscript")
        shapes = {"dynamic_shapes": ({0: torch.export.Dim("batch")},)}
    else:
        shapes = {"dynamic_axes": {"x": {0: "batch"}, "z": {0: "batch"}}}
    names = {"input_names": ["x"], "output_names": ["z"]}
    with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
        warnings.simplefilter("ignore")
        example = (torch.rand(2, 3, 16, 16),)
        torch.onnx.export(
            network, example, str(path), opset_version=opset, dynamo=dynamo, **names, **shapes
        )


def check_autograd(network: nn.Module, folder: Path, opset: int, *, dynamo: bool = False) -> None:
    """Assert that the gradient of a network of (batch, 3, 16, 16) to 5 classes is autograd's.

    Its batch is left open in the file, and another than the one that it was exported with.
    """
    export(network, folder / "network.onnx", opset, dynamo=dynamo)
    images = np.random.default_rng(0).uniform(0, 1, (12, 16, 16, 3)).astype(np.float32)
    labels = np.arange(12) % 5
    logits, loss, gradient = OnnxClassifier(folder / "network.onnx").loss_and_gradient(
        images, labels
    )
    pixels = torch.tensor(images.transpose(0, 3, 1, 2), requires_grad=True)
    expected_logits = network(pixels)
    losses = nn.functional.cross_entropy(expected_logits, torch.tensor(labels), reduction="none")
    (expected,) = torch.autograd.grad(losses.sum(), pixels)
    expected = expected.numpy().transpose(0, 2, 3, 1)
    np.testing.assert_allclose(logits, expected_logits.detach(), atol=1e-5)
    np.testing.assert_allclose(loss, losses.detach(), atol=1e-5)
    largest = np.abs(expected).max(axis=(1, 2, 3))
    difference = np.abs(gradient - expected).max(axis=(1, 2, 3)) / largest
    # a rectifier whose input is within rounding of 0 can be on in one and off in the other
    assert np.mean(difference < 1e-4) >= 0.75
    assert difference.max() < 0.1
