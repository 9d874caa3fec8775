"""The examples of CONTRIBUTING.md, which tests run as they are printed."""

from __future__ import annotations

import re
from pathlib import Path

TEXT = (Path(__file__).parent.parent / "CONTRIBUTING.md").read_text()


def example(heading: str) -> str:
    """Return the one block of Python under a heading."""
    _, _, section = TEXT.partition(f"\n## {heading}\n")
    (found,) = re.findall(r"```python\n(.*?)```", section.partition("\n## ")[0], flags=re.DOTALL)
    return found
