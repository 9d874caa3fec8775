"""`.npz` files from anywhere are refused before they are unpacked, or waited for."""

from __future__ import annotations

import os
import zipfile

import numpy as np
import pytest

from rnascl_keras.errors import UserError
from rnascl_keras.files.arrays import SMALL, read_arrays


def test_what_unpacks_to_far_more(tmp_path):
    """The header alone, which promises it, shows it; and an honest file of zeros is read."""
    path = tmp_path / "bomb.npz"
    with zipfile.ZipFile(path, "w") as file, file.open("x.npy", "w") as member:
        shape = {"descr": "|u1", "fortran_order": False, "shape": (SMALL + 100_000,)}
        np.lib.format.write_array_header_1_0(member, shape)
    with pytest.raises(UserError, match="and says that it unpacks to 269 MB"):
        read_arrays(path)
    zeros = np.zeros(10**7, np.uint8)
    np.savez_compressed(path, x=zeros)
    assert path.stat().st_size < 20_000
    np.testing.assert_array_equal(read_arrays(path)["x"], zeros)


def test_what_is_no_regular_file(tmp_path):
    os.mkfifo(tmp_path / "pipe.npz")
    (tmp_path / "device.npz").symlink_to("/dev/zero")
    (tmp_path / "folder.npz").mkdir()
    for path in tmp_path.iterdir():
        with pytest.raises(UserError, match="is no regular file"):
            read_arrays(path)
