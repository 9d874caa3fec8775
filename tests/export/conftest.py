from __future__ import annotations

import pytest

from tests.small_onnx import write_small_onnx


@pytest.fixture
def save(tmp_path):
    """A function: (text of the nodes, input, output, ...) -> the path of an ONNX file."""

    def write(nodes, **settings):
        count = len(list(tmp_path.iterdir()))
        return write_small_onnx(tmp_path / f"{count}.onnx", nodes, **settings)

    return write
