"""What docstrings say: their first sentence, and of a section's settings one line each."""

from __future__ import annotations

import inspect
import re
from dataclasses import dataclass
from functools import cache

from docstring_parser import google

from rnascl_keras.section import Settings


@dataclass(frozen=True)
class Explained:
    """What a docstring says of one setting.

    Attributes:
        meaning: in one line.
        unit: of its values, "" for plain numbers and names.
    """

    meaning: str
    unit: str = ""


def first_sentence(docstring: str | None) -> str:
    """Return the first sentence of a docstring, on one line; "" where there is none."""
    paragraph = " ".join(inspect.cleandoc(docstring or "").partition("\n\n")[0].split())
    # not after "eq. 3", nor "et al. (2018)"
    return re.split(r"\.\s+(?=[A-Z`])", paragraph)[0].removesuffix(".")


@cache
def explanations(section: type[Settings]) -> dict[str, Explained]:
    """Return what a section and its bases say of their settings under `Attributes:`, by name.

    They are written `name (unit): meaning`, the unit being left out where there is none.
    """
    found: dict[str, Explained] = {}
    for kind in reversed(section.__mro__):
        if issubclass(kind, Settings):
            for told in google.parse(kind.__doc__ or "").params:
                meaning = " ".join((told.description or "").split()).removesuffix(".")
                found[told.arg_name] = Explained(meaning, told.type_name or "")
    return found
