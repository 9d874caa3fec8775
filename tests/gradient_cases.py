"""Small ONNX graphs in float64 or float32 from text, and their gradient by central differences."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import onnx
from onnx import checker, numpy_helper
from onnx.reference import ReferenceEvaluator

from rnascl_keras.export.onnx_gradient import input_gradient_model

IMAGE = (2, 5, 6)
ints = np.int64


def run(model: onnx.ModelProto, **feeds: np.ndarray) -> dict[str, np.ndarray]:
    """Run a model with onnx's evaluator."""
    names = [output.name for output in model.graph.output]
    return dict(zip(names, ReferenceEvaluator(model).run(names, feeds), strict=True))


def in_onnxruntime(model: onnx.ModelProto, **feeds: np.ndarray) -> dict[str, np.ndarray]:
    """Run a model with onnxruntime, on the CPU."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(
        model.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )
    names = [output.name for output in model.graph.output]
    return dict(zip(names, session.run(names, feeds), strict=True))


def by_differences(
    loss: Callable[[np.ndarray], np.ndarray], image: np.ndarray, step: float
) -> np.ndarray:
    """Return the gradient of `loss`, (batch, ...) -> (batch,), at one image: (...) -> (...)."""
    moves = step * np.eye(image.size, dtype=image.dtype).reshape(-1, *image.shape)
    ahead, behind = loss(image + moves), loss(image - moves)
    return ((ahead - behind) / (2 * step)).reshape(image.shape)


@dataclass(frozen=True)
class Case:
    """A graph from `x` (batch, *shape) to `h`, in ONNX's text form.

    Attributes:
        constants: by name, an array, or the shape of random values of the graph's float type.
        low, high: the range of x and of random constants.
        evaluator: what computes the graph for the differences; onnx's own errs in some operators.
        step: of the differences. Of a linear graph any will do.
        runs: whether onnxruntime runs such a graph at all.
    """

    name: str
    body: str
    shape: tuple[int, ...]
    constants: dict[str, np.ndarray | tuple[int, ...]] = field(default_factory=dict)
    opset: int = 18
    low: float = -1.0
    high: float = 1.0
    evaluator: Callable[..., dict[str, np.ndarray]] = run
    step: float = 1e-6
    runs: bool = True

    def model(self, dtype: type) -> onnx.ModelProto:
        """Return the model whose logits are h, flattened."""
        kind = "double" if dtype is np.float64 else "float"
        sizes = ",".join(map(str, self.shape))
        model = onnx.parser.parse_model(
            f'<ir_version: 8, opset_import: ["": {self.opset}]>'
            f"case ({kind}[N,{sizes}] x) => ({kind}[N,K] y) {{ {self.body}\n y = Flatten(h) }}"
        )
        random = np.random.default_rng(1)
        for name, value in self.constants.items():
            if isinstance(value, tuple):
                value = random.uniform(self.low, self.high, value).astype(dtype)
            model.graph.initializer.append(numpy_helper.from_array(value, name))
        return model

    def images(self, count: int) -> np.ndarray:
        return np.random.default_rng(2).uniform(self.low, self.high, (count, *self.shape))


def check_gradient(case: Case) -> None:
    """Assert that the gradient of a case is the limit of its differences, in float64 with the
    case's evaluator and in float32 with onnxruntime."""
    dtype = np.float64 if case.step < 0.1 else np.float32
    model, images = case.model(dtype), case.images(2).astype(dtype)
    logits = case.evaluator(model, x=images)["y"]
    slopes = np.random.default_rng(3).uniform(-1, 1, logits.shape).astype(dtype)
    expected = np.stack(
        [
            by_differences(lambda x, s=slope: case.evaluator(model, x=x)["y"] @ s, image, case.step)
            for image, slope in zip(images, slopes, strict=True)
        ]
    )
    scale = max(1.0, np.abs(expected).max())
    assert np.abs(expected).max() > 1e-3
    if dtype is np.float64:
        made = input_gradient_model(model, "linear")
        result = case.evaluator(made, images=images, slopes=slopes)
        np.testing.assert_allclose(result["logits"], logits, atol=1e-7)
        np.testing.assert_allclose(result["loss"], np.sum(slopes * logits, axis=1), atol=1e-6)
        tolerance = 3e-7 if case.step < 1e-4 else 1e-4
        np.testing.assert_allclose(result["gradient"], expected, atol=tolerance * scale)

    single = input_gradient_model(case.model(np.float32), "linear")
    checker.check_model(single, full_check=True)
    if case.runs:
        feeds = {"images": images.astype(np.float32), "slopes": slopes.astype(np.float32)}
        result = in_onnxruntime(single, **feeds)
        np.testing.assert_allclose(result["logits"], logits, atol=1e-4 * scale)
        np.testing.assert_allclose(result["gradient"], expected, atol=1e-4 * scale)
