"""Where LiteRT comes from: the package `ai-edge-litert`, or TensorFlow where that is not there."""

from __future__ import annotations

import importlib
import warnings
from typing import Any

from rnascl_keras.errors import UserError

_INTERPRETERS = ("ai_edge_litert.interpreter", "tensorflow.lite.python.interpreter")
_SCHEMAS = ("ai_edge_litert.schema_py_generated", "tensorflow.lite.python.schema_py_generated")


def new_interpreter(content: bytes, threads: int = 1) -> Any:
    """Return an interpreter of a file's content, its tensors not yet allocated.

    Raises:
        UserError: no LiteRT is installed.
        ValueError, RuntimeError: it cannot run the file.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # TensorFlow's own copy says that it will go
        made: Any = _first(_INTERPRETERS).Interpreter(model_content=content, num_threads=threads)
    return made


def package() -> str:
    """Return the name of the package that `new_interpreter` takes it from."""
    module = _first(_INTERPRETERS).__name__
    return module.partition(".")[0].replace("_", "-")


def schema() -> Any:
    """Return the module of classes that read a file's structure.

    Raises:
        UserError: no LiteRT is installed.
    """
    return _first(_SCHEMAS)


def _first(names: tuple[str, ...]) -> Any:
    for name in names:
        try:
            return importlib.import_module(name)
        except ImportError:
            continue
    raise UserError(
        "a .tflite file needs the LiteRT interpreter, which is not installed; type `pip install "
        "'rnascl-keras[litert]'`."
    )
