"""What is stored of a student that comes with the package."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rnascl_keras.files.whole import read_json

RESULTS = Path(__file__).parent.parent / "results" / "students"


@dataclass(frozen=True)
class Packaged:
    """A student's figures.

    Attributes:
        figures: of `rnascl evaluate`.
        strong: of AutoAttack, on fewer images.
        size: its parameters and multiply-adds.
    """

    figures: dict[str, Any]
    strong: dict[str, Any]
    size: dict[str, Any]

    @classmethod
    def of(cls, name: str) -> Packaged:
        """Read those of the student called `name`."""
        parts = ("", "_auto_attack", "_run")
        figures, strong, run = (read_json(RESULTS / f"{name}{part}.json") for part in parts)
        return cls(figures, strong, run["student"])
