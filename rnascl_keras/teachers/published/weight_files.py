"""Named weights from files of every kind that can hold them without code."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from rnascl_keras.errors import UserError, one_line
from rnascl_keras.files.arrays import read_arrays
from rnascl_keras.teachers.published.torch_file import read_torch_file


def read_weights(path: Path) -> dict[str, np.ndarray]:
    """Read weights by name as float32 arrays.

    Args:
        path: a `.pt`, `.pth`, `.ckpt` or `.tar` of `torch.save`, an `.npz` or a `.safetensors`.

    Raises:
        UserError: there is no such file, it is of another kind or spoiled, or one of them holds no
            numbers.
    """
    if not path.is_file():
        raise UserError(f"there is no checkpoint {path}.")
    if path.suffix not in READERS:
        raise UserError(
            f"checkpoint {path} ends in {path.suffix!r}; expected one of {', '.join(READERS)}."
        )
    weights = {}
    for name, value in READERS[path.suffix](path).items():
        # PyTorch's batch norm counts its updates; nothing depends on it.
        if name.split(".")[-1] == "num_batches_tracked":
            continue
        if value.dtype.kind not in "fiub" and value.dtype.name != "bfloat16":
            raise UserError(f"{name} in {path} is of type {value.dtype}; expected real numbers.")
        if 0 in value.shape:  # a network of such a shape can be large, with nothing in its file
            raise UserError(
                f"{name} in {path} holds no numbers, its shape is {value.shape}; save it again, or "
                "give another."
            )
        with np.errstate(over="ignore"):  # too large for float32 is told as not finite
            weights[name] = value.astype(np.float32)
    return weights


def _read_safetensors(path: Path) -> dict[str, np.ndarray]:
    from safetensors.numpy import load_file

    try:
        return load_file(path)
    except Exception as error:  # also of types that NumPy has not, such as float8
        raise UserError(
            f"{path} is not a readable .safetensors of float64, float32, float16 or bfloat16: "
            f"{one_line(error)}."
        ) from error


READERS = {
    **dict.fromkeys((".pt", ".pth", ".ckpt", ".tar"), read_torch_file),
    ".npz": read_arrays,
    ".safetensors": _read_safetensors,
}
