"""Weights by name from .npz and .safetensors, and files that only look like them."""

from __future__ import annotations

import io
import json
import zipfile

import numpy as np
import pytest

from rnascl_keras.errors import UserError
from rnascl_keras.teachers.published.weight_files import read_weights


def npz_that_claims(shape) -> bytes:
    header, file = io.BytesIO(), io.BytesIO()
    claim = {"descr": "<f4", "fortran_order": False, "shape": shape}
    np.lib.format.write_array_header_1_0(header, claim)
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("a.npy", header.getvalue())
    return file.getvalue()


def npz_of(**arrays) -> bytes:
    file = io.BytesIO()
    np.savez(file, **arrays)
    return file.getvalue()


def npz_spoiled_inside() -> bytes:
    """Its archive is whole; what is compressed in it is not."""
    file = io.BytesIO()
    np.savez_compressed(file, a=np.arange(1000))
    spoiled = bytearray(file.getvalue())
    spoiled[60:90] = b"\xff" * 30
    return bytes(spoiled)


def npz_of_text() -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("a.npy", b"no array")
    return file.getvalue()


SPOILED = {
    "inside.npz": npz_spoiled_inside(),
    "no_array.npz": npz_of_text(),
    "empty.npz": b"",
    "text.npz": b"weights",
    "claim.npz": npz_that_claims((1 << 40, 1 << 10)),
    "pickle.npz": npz_of(a=np.array([object()])),
    "words.npz": npz_of(a=np.array(["x"])),
    "complex.npz": npz_of(a=np.array([1j])),
    "empty.safetensors": b"",
    "text.safetensors": b"weights by name",
    "claim.safetensors": (1 << 60).to_bytes(8, "little") + b"{}",
    "weights.onnx": b"",
}


@pytest.mark.parametrize("name", SPOILED)
def test_spoiled_files_are_told(tmp_path, name):
    (tmp_path / name).write_bytes(SPOILED[name])
    with pytest.raises(UserError, match=name) as caught:
        read_weights(tmp_path / name)
    assert "\n" not in str(caught.value)


def test_a_missing_file_is_told(tmp_path):
    with pytest.raises(UserError, match="there is no checkpoint"):
        read_weights(tmp_path / "weights.npz")


@pytest.mark.parametrize("suffix", ["npz", "safetensors"])
def test_numbers_of_every_type_come_as_float32(tmp_path, suffix):
    from safetensors.numpy import save_file

    types = ("float16", "float32", "float64", "int8", "int64", "uint8")
    arrays = {name: np.array([[0, 1], [2, 100]], name) for name in types}
    path = tmp_path / f"weights.{suffix}"
    with_counter = {**arrays, "bn1.num_batches_tracked": np.array([3])}
    if suffix == "npz":
        np.savez(path, **with_counter)
    else:
        save_file(with_counter, path)
    found = read_weights(path)
    assert found.keys() == arrays.keys()
    for value in found.values():
        np.testing.assert_array_equal(value, np.array([[0, 1], [2, 100]], np.float32), strict=True)
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(UserError, match="not a readable"):
        read_weights(path)


def test_a_safetensors_file_of_another_type_is_refused_in_words(tmp_path):
    header = json.dumps({"w": {"dtype": "F8_E4M3", "shape": [4], "data_offsets": [0, 4]}}).encode()
    path = tmp_path / "w.safetensors"
    path.write_bytes(len(header).to_bytes(8, "little") + header + bytes(4))
    with pytest.raises(UserError, match="is not a readable .safetensors of float64"):
        read_weights(path)
