"""What the files that a model is exported to are called."""

from __future__ import annotations

KINDS = ("onnx", "tflite")
_INT8 = "_int8"


def exported_files(model: str, kinds: tuple[str, ...] = KINDS) -> list[str]:
    """Return the names of a model's deployed files, floats before 8-bit integers.

    Args:
        model: its name, e.g. "student".
        kinds: some of `KINDS`.
    """
    return [f"{model}{form}.{kind}" for kind in kinds for form in ("", _INT8)]


def is_int8(name: str) -> bool:
    """Return whether a file is named as one of 8-bit integers."""
    return name.rpartition(".")[0].endswith(_INT8)
