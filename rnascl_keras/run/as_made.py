"""What the files of a run were made from, by their stamps: what may be said of them."""

from __future__ import annotations

from typing import Any

from rnascl_keras.errors import UserError
from rnascl_keras.recipe import Recipe
from rnascl_keras.run import stamps
from rnascl_keras.run.origin import changed
from rnascl_keras.run.reading import check_readable
from rnascl_keras.run.stage_table import STAGES, RunStage, left_out
from rnascl_keras.run.workdir import Run
from rnascl_keras.teachers.cache.index import INDEX

UNDESCRIBED = ("cache",)
"""It may have been removed to save room, and says nothing of its own."""


def recipe_of_files(run: Run, stage: RunStage) -> Recipe:
    """Return the recipe that describes the files which `stage` works with.

    Settings of the stages before it are those that the files were made from, whatever the recipe
    says now; what differs is said.

    Raises:
        UserError: the files do not belong together, nothing notes what one was made from, or it was
            made from other data than the recipe's.
    """
    values = run.recipe.model_dump(mode="json")
    taken: dict[str, tuple[str, Any]] = {}  # setting -> the stage that tells it, its value
    for maker in STAGES[: [s.name for s in STAGES].index(stage.name)]:
        if maker.name in UNDESCRIBED or left_out(run, maker):
            continue
        for key, value in _settings_of(run, stage, maker).items():
            teller, told = taken.setdefault(key, (maker.name, value))
            if told != value:
                places = (f"in {teller}", f"in {maker.name}")
                words = "; ".join(changed({key: told}, {key: value}, places))
                raise UserError(_mixture(run, stage, maker, words))
            _put(values, key, value)
    recipe = _with_views(run, Recipe.model_validate(values))
    found = changed(recipe.model_dump(mode="json"), run.recipe.model_dump(mode="json"))
    if recipe.data != run.recipe.data:
        raise UserError(
            f"{stage.name}: the files were made with other data: {'; '.join(found)}. Give the same "
            "settings, or another folder with --workdir."
        )
    if found:
        told = "; ".join(found)
        run.say(f"{stage.name}: describes what is there, not what was asked for: {told}")
    return recipe


def _with_views(run: Run, recipe: Recipe) -> Recipe:
    """Return the recipe with as many cached views as the search went through."""
    made_from = stamps.read_stamp(run, "search").get("made_from")
    if made_from is None:
        return recipe
    views = 0
    if f"cache/{INDEX}" in made_from["inputs"]:
        if not run.stamp("cache").exists():
            return recipe
        noted = stamps.read_stamp(run, "cache").get("made_from")
        views = noted["settings"]["views"] if noted else recipe.views
    if views == recipe.views:
        return recipe
    cache = recipe.cache.model_copy(update={"views": views})
    return recipe.model_copy(update={"cache": cache})


def _settings_of(run: Run, stage: RunStage, maker: RunStage) -> dict[str, Any]:
    """Return from which settings a stage was made that fits the files as they are now."""
    if not run.stamp(maker.name).exists():
        raise UserError(
            _mixture(run, stage, maker, f"nothing notes what {maker.makes(run)[0]} was made from")
        )
    noted = stamps.read_stamp(run, maker.name)
    if "made_from" not in noted:  # of an earlier version
        now = stamps.origin_of(run, maker)
        if noted["signature"] != now.signature:
            words = f"what {maker.makes(run)[0]} was made from is not these settings and files"
            raise UserError(_mixture(run, stage, maker, words))
        return now.settings
    others = stamps.changed_files(run, noted["made_from"]["inputs"])
    check_readable(run, others)
    if others:
        words = f"{maker.makes(run)[0]} was not made from the {others[0]} that is there"
        raise UserError(_mixture(run, stage, maker, words))
    others = stamps.changed_files(run, noted["makes"])
    check_readable(run, others)
    if others:
        words = f"{run.path(others[0])} is not as {maker.name} left it"
        raise UserError(_mixture(run, stage, maker, words))
    return noted["made_from"]["settings"]


def _mixture(run: Run, stage: RunStage, maker: RunStage, words: str) -> str:
    more = ("--overwrite",) if maker.kept else ()
    return (
        f"{stage.name}: the files do not belong together: {words}. Repeat "
        f"`{run.command_line(maker.name, *more)}` and what comes after it."
    )


def _put(values: dict[str, Any], key: str, value: Any) -> None:
    """Set a stamp's setting, `section` or `section.key`, in a dumped recipe."""
    *sections, last = key.split(".")
    for section in sections:
        values = values[section]
    values[last] = value
