"""A recipe as the text of a recipe file."""

from __future__ import annotations

import json
import textwrap
from collections.abc import Mapping
from typing import Any

from rnascl_keras.method.spaces import SearchSpace, Stage
from rnascl_keras.recipe import Recipe
from rnascl_keras.section import Settings
from rnascl_keras.units import with_capital

INDENT = "    "
WIDTH = 80


COMMENTED = 92
"""Characters of a line of comment, its indentation left out."""


def recipe_file(recipe: Recipe, docstring: str, reasons: Mapping[str, str] | None = None) -> str:
    """Return the text of a `.py` file that defines this recipe.

    Settings at their defaults are left out.

    Args:
        recipe: any.
        docstring: of the file, without its quotes.
        reasons: by setting, e.g. ``train.epochs``, what is said in a comment above it.
    """
    used = {Recipe.__name__}
    body = _source(recipe, "", used, reasons or {})
    spaces = sorted(used & {SearchSpace.__name__, Stage.__name__})
    lines = [f"from rnascl_keras.recipe import {', '.join(sorted(used - set(spaces)))}"]
    if spaces:
        lines.insert(0, f"from rnascl_keras import {', '.join(spaces)}")
    escaped = docstring.replace("\\", "\\\\").replace('"""', '\\"\\"\\"')
    imports = "\n".join(lines)
    return f'"""{escaped}\n"""\n\n{imports}\n\nrecipe = {body}\n'


def _source(
    value: Any, indent: str, used: set[str], reasons: Mapping[str, str], place: str = ""
) -> str:
    """Return Python that gives `value`, at `place`; note in `used` the classes it names."""
    inner = indent + INDENT
    if isinstance(value, Settings):
        fields = {
            name: getattr(value, name)
            for name, field in type(value).model_fields.items()
            if getattr(value, name) != field.get_default(call_default_factory=True)
        }
    elif isinstance(value, (SearchSpace, Stage)):
        fields = vars(value)
    elif isinstance(value, (tuple, list)):
        items = [_source(item, inner, used, {}) for item in value]
        return _bracketed("", items, indent)
    else:
        return _plain(value)
    name = type(value).__name__
    used.add(name)
    given = [
        _comment(reasons.get(f"{place}{key}"), inner)
        + f"{key}={_source(item, inner, used, reasons, f'{place}{key}.')}"
        for key, item in fields.items()
    ]
    return _bracketed(name, given, indent)


def _plain(value: Any) -> str:
    """Return a text or a number; one of 255ths, a radius of pixels, as such: ``4 / 255``."""
    if isinstance(value, str):
        return json.dumps(value, ensure_ascii=False)
    exact = repr(value)
    if isinstance(value, float) and len(exact) > len("0.12345"):
        levels = round(255 * value)
        return f"{levels} / 255" if levels / 255 == value else exact
    return exact


def _comment(reason: str | None, indent: str) -> str:
    """Return a comment that stands above a setting, and the indentation of what follows it."""
    if reason is None:
        return ""
    lines = textwrap.wrap(f"{with_capital(reason)}.", COMMENTED - len(indent))
    return "".join(f"# {line}\n{indent}" for line in lines)


def _bracketed(name: str, items: list[str], indent: str) -> str:
    """Return `name(item, ...)` in one line, or a line for each item where that is too long."""
    comma = "," if len(items) == 1 and not name else ""
    text = f"{name}({', '.join(items)}{comma})"
    if len(indent) + len(text) < WIDTH and "\n" not in text:
        return text
    lines = "".join(f"{indent}{INDENT}{item},\n" for item in items)
    return f"{name}(\n{lines}{indent})"
