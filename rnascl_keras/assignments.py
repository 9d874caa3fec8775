"""What `--set KEY=VALUE` gives: settings of a recipe by their dotted names, and back to text."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, get_args, get_origin

from pydantic import ValidationError

from rnascl_keras import settings
from rnascl_keras.errors import UserError, check_name, nearest
from rnascl_keras.section import Settings, section_in

if TYPE_CHECKING:
    from rnascl_keras.recipe import Recipe


def with_settings(recipe: Recipe, assignments: Iterable[str]) -> Recipe:
    """Return the recipe with assignments `section.key=value` applied, and checked again."""
    values = recipe.model_dump()
    known = _keys(recipe)
    for assignment in assignments:
        key, equals, text = assignment.partition("=")
        if not equals:
            raise UserError(f"--set wants KEY=VALUE, e.g. search.epochs=5; got {assignment!r}.")
        expected = "one of those that `rnascl settings` shows, such as search.epochs"
        check_name("setting", key, known, expected)
        *sections, last = key.split(".")
        target = values
        for section in sections:
            if target[section] is None:  # left out so far: from now on with its defaults
                target[section] = {}
            target = target[section]
        value = _value(text, _kinds(recipe, sections, last))
        is_section = not sections and section_in(type(recipe).model_fields[last].annotation)
        if is_section and isinstance(value, dict):
            value = (target[last] or {}) | value  # what is not named stays as the recipe has it
        target[last] = value
    try:
        return type(recipe).model_validate(values)
    except ValidationError as error:
        raise UserError(f"--set {first_problem(error, type(recipe))}") from error


def flat_settings(settings: dict[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Yield dumped settings as `--set` takes them: a dotted name and a value."""
    for name, value in settings.items():
        if isinstance(value, dict) and value:
            yield from flat_settings(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", value


def changed_settings(recipe: Recipe, own: Recipe) -> list[str]:
    """Return the `--set` assignments that make `recipe` of `own`."""
    before = dict(flat_settings(own.model_dump(mode="json")))
    return [
        f"{key}={value if isinstance(value, str) else json.dumps(value)}"
        for key, value in flat_settings(recipe.model_dump(mode="json"))
        if key not in before or before[key] != value
    ]


def _keys(recipe: Recipe) -> list[str]:
    keys = []
    for name, field in type(recipe).model_fields.items():
        if section := section_in(field.annotation):
            keys += [f"{name}.{key}" for key in section.model_fields]
        keys.append(name)
    return keys


def _kinds(recipe: Recipe, sections: Sequence[str], last: str) -> tuple[Any, ...]:
    """Return the types of which a setting takes values: its own, and those joined in it."""
    owner: Any = type(recipe)
    for section in sections:
        owner = section_in(owner.model_fields[section].annotation)
    annotation = owner.model_fields[last].annotation
    return annotation, *get_args(annotation)


def _value(text: str, kinds: Sequence[Any]) -> Any:
    """Return what a text stands for: JSON, else words; lists, too, with only commas between.

    Args:
        text: after the equals sign.
        kinds: what is taken; where null is not, none is a name as any other.
    """
    value = _json_or_words(text)
    if type(None) in kinds and value in (None, "None", "none"):
        return None
    if isinstance(value, list) or not any(get_origin(kind) is tuple for kind in kinds):
        return value
    return [_json_or_words(part.strip()) for part in text.strip("[] ").split(",")]


def _json_or_words(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return text


def _unknown_keyword(name: str, place: Sequence[Any], whole: type[Settings]) -> str:
    """Say which keyword a section of settings does not have, and the nearest that it has.

    Args:
        name: of the class that was called.
        place: of the keyword in it.
        whole: the class of recipes.
    """
    for step in place[:-1]:  # a section in a recipe
        name = str(step).title()
    kind = whole if name == whole.__name__ else getattr(settings, name, Settings)
    known = list(kind.model_fields)
    what = "a recipe" if kind is whole else f"section {name.lower()}"
    return (
        f"{what} has no setting {place[-1]!r}; expected some of {', '.join(known)}."
        f"{nearest(str(place[-1]), known)}"
    )


def first_problem(error: ValidationError, whole: type[Settings]) -> str:
    """Say in one line what is wrong with settings.

    Args:
        error: all that is wrong.
        whole: the class of recipes.
    """
    problems = error.errors(include_url=False)
    worst = (
        p for kind in ("extra_forbidden", "value_error") for p in problems if p["type"] == kind
    )
    problem = next(worst, problems[0])
    if problem["type"] == "extra_forbidden":
        return _unknown_keyword(error.title, problem["loc"], whole)
    place: Sequence[Any] = [p for p in problem["loc"] if not str(p).startswith("function")]
    if hasattr(settings, error.title) and error.title != whole.__name__:  # a section by itself
        place = [error.title.lower(), *place]
    where = ".".join(map(str, place)) or "recipe"
    if problem["type"] == "value_error" and "ctx" in problem:  # ours: it says what came
        return f"{where}: {problem['ctx']['error']}"
    if problem["type"] == "missing":  # what came is all the rest
        kind = str(place[-1]).title()
        example = f" Give {place[-1]}={kind}(...)." if hasattr(settings, kind) else ""
        return f"{where} is missing.{example}"
    return f"{where}: {problem['msg']}; got {problem['input']!r}."
