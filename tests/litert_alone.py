"""What a LiteRT file says, by its interpreter alone, and what the interpreter says of the file."""

from __future__ import annotations

import warnings

import numpy as np


def open_litert(path):
    """An interpreter of the file; of TensorFlow where LiteRT's own package is not installed."""
    try:
        from ai_edge_litert.interpreter import Interpreter
    except ImportError:
        from tensorflow.lite.python.interpreter import Interpreter
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return Interpreter(str(path))


def litert_logits(path, values):
    """The first output for `values`, (n, ...), of the type that the file takes."""
    interpreter = open_litert(path)
    (given,), (made, *_) = interpreter.get_input_details(), interpreter.get_output_details()
    interpreter.resize_tensor_input(given["index"], values.shape)
    interpreter.allocate_tensors()
    interpreter.set_tensor(given["index"], values)
    interpreter.invoke()
    logits = interpreter.get_tensor(made["index"])
    scale, zero = made["quantization"]
    return (logits.astype(np.float32) - zero) * np.float32(scale) if scale else logits
