"""A path from which TensorFlow reads a SavedModel."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_WILDCARDS = set("[]*?")


@contextmanager
def without_wildcards(path: Path) -> Iterator[Path]:
    """Give the SavedModel, or a copy while it is read: TensorFlow looks for a SavedModel's
    variables by a pattern, in which the brackets of a folder's name are none.
    """
    if _WILDCARDS.isdisjoint(str(path)):
        yield path
        return
    with tempfile.TemporaryDirectory() as folder:
        yield Path(shutil.copytree(path, Path(folder) / "saved_model"))
