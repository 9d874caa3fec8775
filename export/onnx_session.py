"""Opening and running ONNX models in onnxruntime, with errors of one line."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from rnascl_keras.errors import ModelFailed, UserError, nearest, one_line
from rnascl_keras.hardware import memory

if TYPE_CHECKING:
    import onnx
    import onnxruntime

CPU = "CPUExecutionProvider"
MEMORY_SHARE = 0.75
"""Of the machine's memory, what all sessions together may take."""


class SessionMaker:
    """Opens sessions, all alike, on the models made from one file.

    Args:
        path: of the file, for error messages.
        threads: threads within one operation; by default onnxruntime's own choice.
        providers: onnxruntime's names of what computes, the preferred first, such as
            "CUDAExecutionProvider"; the CPU always comes last.
        as_written: leave out what onnxruntime makes faster and other: zeros around a map become
            part of the pool behind them, in which they are the least number; floats between
            integers become products of bytes, which saturate on some processors.

    Raises:
        UserError: the installed onnxruntime has no such provider.
    """

    def __init__(
        self,
        path: Path,
        threads: int | None,
        providers: Sequence[str],
        *,
        as_written: bool = False,
    ) -> None:
        import onnxruntime

        known = onnxruntime.get_available_providers()
        for name in providers:
            if name not in known:
                raise UserError(
                    f"provider {name!r} is not in this onnxruntime, which has {', '.join(known)}."
                    f"{nearest(name, known)}"
                )
        self._path, self._threads = path, threads
        self._as_written = as_written
        self._providers = [*dict.fromkeys([*providers, CPU])]

    def open(self, model: onnx.ModelProto) -> Session:
        """Return a quiet session on `model`.

        Raises:
            UserError: onnxruntime cannot run it.
        """
        import onnxruntime

        _limit_memory()
        options = onnxruntime.SessionOptions()
        options.log_severity_level = 4  # fatal errors only; others are raised
        options.add_session_config_entry("session.use_env_allocators", "1")
        # threads that wait busily slow one another down wherever the machine has other work
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        if self._as_written:
            options.add_session_config_entry("session.disable_quant_qdq", "1")
        if self._threads is not None:
            options.intra_op_num_threads = self._threads
        try:
            session = onnxruntime.InferenceSession(
                model.SerializeToString(),
                options,
                providers=self._providers,
                disabled_optimizers=["Pad_Fusion"] if self._as_written else None,
            )
        except Exception as error:  # onnxruntime's errors have no closer base class
            raise UserError(
                f"{self._path} is not a model that onnxruntime can run: {one_line(error)}"
            ) from error
        if missing := [name for name in self._providers if name not in session.get_providers()]:
            raise UserError(
                f"onnxruntime cannot start {', '.join(missing)} on this machine, and would compute "
                f"on {', '.join(session.get_providers())} in silence; see whether its driver and "
                "libraries are installed, or leave out --providers."
            )
        return Session(self._path, session)


class Session:
    """An open session of onnxruntime's.

    Attributes:
        path: of the file, for error messages.
        inputs, outputs: of the graph, each with `name`, `type` and `shape`.
        metadata: of the file, texts by name.
    """

    def __init__(self, path: Path, session: onnxruntime.InferenceSession) -> None:
        self.path, self._session = path, session
        self.inputs, self.outputs = session.get_inputs(), session.get_outputs()
        try:
            self.metadata = session.get_modelmeta().custom_metadata_map
        except UnicodeDecodeError as error:
            raise UserError(
                f"{path}: a text in its metadata is not UTF-8; write it without."
            ) from error

    def run(self, names: Sequence[str], feeds: dict[str, np.ndarray]) -> list[np.ndarray]:
        """Return the outputs of these names.

        Raises:
            ModelFailed: onnxruntime fails on these images.
        """
        try:
            results: Any = self._session.run(names, feeds)
        except Exception as error:  # as above
            said = one_line(error).removesuffix(".")
            raise ModelFailed(f"{self.path}: onnxruntime fails on these images: {said}") from error
        return results


@functools.cache
def _limit_memory() -> None:
    """Give all sessions one pool of memory, most of the machine's.

    A file whose tensors grow without bounds as it runs then ends in an error, not in the end of
    this or another process.
    """
    import onnxruntime

    pooled, plain = onnxruntime.OrtAllocatorType.ORT_ARENA_ALLOCATOR, onnxruntime.OrtMemType.DEFAULT
    onnxruntime.create_and_register_allocator(
        onnxruntime.OrtMemoryInfo("Cpu", pooled, 0, plain),
        onnxruntime.OrtArenaCfg({"max_mem": most_memory()}),
    )


def most_memory() -> int:
    """Return how many bytes a model may take: most of the machine's memory."""
    return int(MEMORY_SHARE * memory())
