"""The tensors in an ONNX file: what they claim to hold, and what lies in files beside it."""

from __future__ import annotations

import math
from collections.abc import Iterable
from pathlib import Path

import onnx
from onnx import TensorProto, helper
from onnx.external_data_helper import uses_external_data

from rnascl_keras.errors import UserError

MOST_AXES = 16
# Types of which several share a byte.
_BITS = {
    **dict.fromkeys(("INT4", "UINT4", "FLOAT4E2M1"), 4),
    **dict.fromkeys(("INT2", "UINT2"), 2),
}


def check_weights(tensors: Iterable[onnx.TensorProto]) -> None:
    """Raise UserError where a tensor does not hold as many values as its shape says.

    Args:
        tensors: their values in the file itself, see `embed_external_data`.
    """
    for tensor in tensors:
        count = _count(tensor)
        if tensor.HasField("raw_data"):
            held, claimed = len(tensor.raw_data), _bytes(tensor)
        elif tensor.data_type == TensorProto.STRING:
            held, claimed = len(tensor.string_data), count
        else:
            held, claimed = len(getattr(tensor, _field(tensor))), _entries(tensor)
        if held != claimed:
            raise UserError(
                f"its tensor {tensor.name!r} of shape {list(tensor.dims)} should hold {claimed} "
                f"values or bytes, and holds {held}; the file is damaged, export it again."
            )


def embed_external_data(
    tensors: Iterable[onnx.TensorProto], folder: Path, *, most_bytes: int
) -> None:
    """Read into each tensor what it keeps in another file, which must lie in `folder`.

    Raises:
        UserError: the other file lies elsewhere, also by a link; it is missing or too short; or all
            that is to be read has more than `most_bytes`.
    """
    folder = folder.resolve()
    for tensor in tensors:
        if not uses_external_data(tensor):
            continue
        # bytes where protobuf finds no text
        told = {entry.key: str(entry.value) for entry in tensor.external_data}
        size = _bytes(tensor)
        most_bytes -= size
        if most_bytes < 0:
            raise UserError("its weights have more than 2 GiB; give a smaller model.")
        tensor.raw_data = _part(_beside(folder, told.get("location", "")), told, size)
        del tensor.external_data[:]
        tensor.data_location = TensorProto.DEFAULT


def _beside(folder: Path, location: str) -> Path:
    shown = repr(location[:100])
    try:
        file = (folder / location).resolve()
        if Path(location).is_absolute() or not file.is_relative_to(folder):
            raise UserError(
                f"its weights are to be read from {shown}; only files in its own folder are, "
                "reached by no link that leads out. Put them there."
            )
        if not file.is_file():
            raise UserError(f"its weights are in {shown}, and there is no such file beside it.")
    except (OSError, ValueError, RuntimeError) as error:
        if isinstance(error, UserError):
            raise
        raise UserError(f"its weights are in {shown}, which is no name of a file.") from error
    return file


def _part(file: Path, told: dict[str, str], size: int) -> bytes:
    """Read `size` bytes of `file` from where `told` says."""
    texts = told.get("offset", "0"), told.get("length", str(size))
    if not all(text.isascii() and text.isdigit() and len(text) < 20 for text in texts):
        raise UserError(
            f"its weights are from offset {texts[0][:30]!r} on, {texts[1][:30]!r} bytes long; "
            "expected whole numbers. The file is damaged, export it again."
        )
    offset, length = map(int, texts)
    held = file.stat().st_size
    if length != size or offset + size > held:
        raise UserError(
            f"it takes {length} bytes of {file.name} from {offset} on for weights of {size} "
            f"bytes; {file.name} has {held}. Export it again."
        )
    with open(file, "rb") as stream:
        stream.seek(offset)
        return stream.read(size)


def _count(tensor: onnx.TensorProto) -> int:
    """Return how many values the tensor's shape says it has."""
    if len(tensor.dims) > MOST_AXES or any(size < 0 for size in tensor.dims):
        raise UserError(
            f"its tensor {tensor.name!r} has the shape {list(tensor.dims[:20])}; expected at most "
            f"{MOST_AXES} axes, none negative. The file is damaged, export it again."
        )
    return math.prod(tensor.dims)


def _bytes(tensor: onnx.TensorProto) -> int:
    if tensor.data_type == TensorProto.STRING:
        raise UserError(f"its tensor {tensor.name!r} is text in a form that ONNX does not know.")
    return math.ceil(_count(tensor) * _bits(tensor) / 8)


def _entries(tensor: onnx.TensorProto) -> int:
    """Return how many entries of its field the tensor has where it is not raw bytes."""
    count = _count(tensor)
    if tensor.data_type in (TensorProto.COMPLEX64, TensorProto.COMPLEX128):
        return 2 * count
    return math.ceil(count * min(8, _bits(tensor)) / 8)


def _bits(tensor: onnx.TensorProto) -> int:
    """Return the bits of one value."""
    name = helper.tensor_dtype_to_string(_known_type(tensor)).removeprefix("TensorProto.")
    return _BITS.get(name) or 8 * helper.tensor_dtype_to_np_dtype(tensor.data_type).itemsize


def _field(tensor: onnx.TensorProto) -> str:
    return helper.tensor_dtype_to_field(_known_type(tensor))


def _known_type(tensor: onnx.TensorProto) -> int:
    if tensor.data_type not in TensorProto.DataType.values()[1:]:
        raise UserError(
            f"its tensor {tensor.name!r} is of type {tensor.data_type}, which ONNX does not know; "
            "export it again."
        )
    return tensor.data_type
