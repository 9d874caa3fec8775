"""Opening ONNX files and models in onnxruntime, with errors of one line."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from rnascl_keras.errors import UserError, nearest

if TYPE_CHECKING:
    import onnx
    import onnxruntime

CPU = "CPUExecutionProvider"


class SessionMaker:
    """Opens onnxruntime sessions, all alike, on the models of one file.

    Args:
        path: of the file, for error messages.
        threads: threads within one operation; by default onnxruntime's own choice.
        providers: onnxruntime's names of what computes, the preferred first, such as
            "CUDAExecutionProvider"; the CPU always comes last.

    Raises:
        UserError: there is no such file, or the installed onnxruntime has no such provider.
    """

    def __init__(self, path: Path, threads: int | None, providers: Sequence[str]) -> None:
        if not path.is_file():
            raise UserError(f"{path}: no such file; give the path of an .onnx file.")
        import onnxruntime

        known = onnxruntime.get_available_providers()
        for name in providers:
            if name not in known:
                raise UserError(
                    f"provider {name!r} is not in this onnxruntime, which has {', '.join(known)}."
                    f"{nearest(name, known)}"
                )
        self._path, self._threads = path, threads
        self._providers = [*dict.fromkeys([*providers, CPU])]

    def open(self, model: onnx.ModelProto | None = None) -> onnxruntime.InferenceSession:
        """Return a quiet session on `model`, by default on the file itself.

        Raises:
            UserError: onnxruntime cannot run it.
        """
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.log_severity_level = 4  # fatal errors only; others are raised
        if self._threads is not None:
            options.intra_op_num_threads = self._threads
        try:
            source = str(self._path) if model is None else model.SerializeToString()
            return onnxruntime.InferenceSession(source, options, providers=self._providers)
        except Exception as error:  # onnxruntime's errors have no closer base class
            reason = str(error).strip().splitlines()[0]
            raise UserError(
                f"{self._path} is not a model that onnxruntime can run: {reason}"
            ) from error
