"""Every setting of a recipe: its value, its default, its unit, and what it is for."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal, get_args, get_origin

from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from rnascl_keras.catalogue.words import explanations, first_sentence
from rnascl_keras.method.spaces import SearchSpace
from rnascl_keras.recipe import Recipe
from rnascl_keras.section import Settings, section_in
from rnascl_keras.units import radius

PIXELS = "pixels of [0, 1]"
NEEDED = "to be given"


@dataclass(frozen=True)
class Setting:
    """One setting.

    Attributes:
        key: as `--set` takes it, e.g. ``search.epochs``.
        value: as `--set` takes it; of no recipe the default.
        default: likewise, `NEEDED` where there is none.
        unit: of the value, "" for plain numbers and names.
        meaning: in one line, from the docstring of its section.
    """

    key: str
    value: str
    default: str
    unit: str
    meaning: str

    @property
    def changed(self) -> bool:
        """Whether the recipe does not leave it at its default."""
        return self.value != self.default


def settings_table(recipe: Recipe | None = None) -> dict[str, list[Setting]]:
    """Return all settings by section, the recipe's own first; a section left out has one row.

    Args:
        recipe: whose values; None for the defaults alone.
    """
    sections = {
        name: section
        for name, field in Recipe.model_fields.items()
        if (section := section_in(field.annotation))
    }
    own = [name for name in Recipe.model_fields if name not in sections]
    table = {"recipe": [_setting(Recipe, name, name, recipe) for name in own]}
    for name, section in sections.items():
        values = getattr(recipe, name) if recipe else None
        if recipe and values is None:
            words = f"{first_sentence(section.__doc__)}: left out"
            table[name] = [Setting(name, "null", "as `rnascl settings` says", "", words)]
        else:
            keys = section.model_fields
            table[name] = [_setting(section, key, f"{name}.{key}", values) for key in keys]
    return table


def section_words(name: str) -> str:
    """Return what a section is about, in one line."""
    section = (
        section_in(Recipe.model_fields[name].annotation) if name in Recipe.model_fields else None
    )
    return first_sentence((section or Recipe).__doc__)


def _setting(section: type[Settings], name: str, key: str, values: Settings | None) -> Setting:
    field, told = section.model_fields[name], explanations(section)[name]
    default = _default(field, told.unit)
    value = default if values is None else written(getattr(values, name), told.unit)
    choices = list(_choices(field.annotation))
    meaning = f"{told.meaning}; one of {', '.join(choices)}" if choices else told.meaning
    return Setting(key, value, default, told.unit, meaning)


def _default(field: FieldInfo, unit: str) -> str:
    default = field.get_default(call_default_factory=True, validated_data={})
    return NEEDED if default is PydanticUndefined else written(default, unit)


def written(value: Any, unit: str = "") -> str:
    """Write a setting's value as `--set` takes it: ``8/255``, ``["fgsm"]``, ``null``."""
    if isinstance(value, SearchSpace):
        return value.name
    if isinstance(value, str):
        return value or '""'
    if unit == PIXELS and value is not None:
        return radius(value)
    return json.dumps(value)


def _choices(annotation: Any) -> Iterator[str]:
    """Yield the names that a setting can have, where they are fixed."""
    if get_origin(annotation) is Literal:
        yield from map(str, get_args(annotation))
        return
    for part in get_args(annotation):
        yield from _choices(part)
