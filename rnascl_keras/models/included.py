"""Files of models that come with the package, by name."""

from __future__ import annotations

import importlib.resources
from pathlib import Path

MODEL = ".keras"


def included(kind: str) -> dict[str, Path]:
    """Return the Keras files of a kind, by their names in order.

    Args:
        kind: the folder in `recipes/` that holds them, "teachers" or "students".
    """
    folder = Path(str(importlib.resources.files("rnascl_keras.recipes"))) / kind
    return {file.stem: file for file in sorted(folder.glob(f"*{MODEL}"))}
