"""An image classifier in an ONNX file, run by onnxruntime alone: no TensorFlow, no Keras."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from rnascl_keras import files
from rnascl_keras.errors import UserError


class OnnxClassifier:
    """An ONNX file that turns NHWC images into logits, on the CPU.

    Args:
        path: the file.
        threads: threads within one operation; by default onnxruntime's own choice.

    Attributes:
        path: the file.
        sha256: of the file's bytes, in hexadecimal.
        input_name: what the graph calls its images.
        image_shape: (h, w, c); None where the file leaves a size open.

    Raises:
        UserError: the file is missing or no ONNX model, or it does not take one batch of images
            and give one row of logits for each.
    """

    def __init__(self, path: str | Path, *, threads: int | None = None) -> None:
        self.path = Path(path)
        self._session = _open_session(self.path, threads)
        self.sha256 = files.sha256(self.path)
        graph_input, graph_output = self._sole_input(), self._session.get_outputs()[0]
        self.input_name = graph_input.name
        self._output_name = graph_output.name
        # onnxruntime gives a size left open as a name or as None
        self.image_shape = tuple(
            size if isinstance(size, int) else None for size in graph_input.shape[1:]
        )
        if len(graph_output.shape) != 2:
            raise UserError(
                f"{self.path}: expected an output of shape (batch, classes), got "
                f"{graph_output.name!r} of shape {graph_output.shape}; export a classifier."
            )

    def logits(self, images: np.ndarray, *, batch_size: int = 128) -> np.ndarray:
        """Return the logits, float32 (n, classes), of `images`, NHWC float32 (n, h, w, c).

        Raises:
            UserError: there are no images, or they have not the shape that the file takes.
        """
        self._check_images(images)
        images = np.ascontiguousarray(images, dtype=np.float32)
        batches = [
            self._session.run([self._output_name], {self.input_name: images[i : i + batch_size]})[0]
            for i in range(0, len(images), batch_size)
        ]
        return np.concatenate(batches)

    def _sole_input(self):
        inputs = self._session.get_inputs()
        described = ", ".join(f"{i.name!r} {i.type} {i.shape}" for i in inputs)
        if len(inputs) != 1 or len(inputs[0].shape) != 4 or inputs[0].type != "tensor(float)":
            raise UserError(
                f"{self.path}: expected one float32 input of shape (batch, h, w, c), got "
                f"{described or 'none'}; export the model with `rnascl export`."
            )
        return inputs[0]

    def _check_images(self, images: np.ndarray) -> None:
        shape = np.shape(images)
        fits = len(shape) == 4 and all(
            wanted in (None, given)
            for wanted, given in zip(self.image_shape, shape[1:], strict=True)
        )
        if not fits or shape[0] == 0:
            wanted = ", ".join(str(size or "any") for size in self.image_shape)
            raise UserError(
                f"{self.path}: expected images of shape (n, {wanted}) with n > 0, got {shape}."
            )


def _open_session(path: Path, threads: int | None):
    """Return an onnxruntime session on `path`, on the CPU and quiet."""
    if not path.is_file():
        raise UserError(f"{path}: no such file; give the path of an .onnx file.")
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3  # errors only
    if threads is not None:
        options.intra_op_num_threads = threads
    try:
        return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    except Exception as error:  # onnxruntime's errors have no closer base class
        reason = str(error).strip().splitlines()[0]
        raise UserError(f"{path} is not a model that onnxruntime can run: {reason}") from error
