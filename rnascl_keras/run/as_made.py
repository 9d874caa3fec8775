"""What the files of a run were made from, by their stamps: what may be said of them."""

from __future__ import annotations

from typing import Any

from pydantic import ValidationError

from rnascl_keras.assignments import flat_settings
from rnascl_keras.errors import UserError, one_line
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
    for maker in _before(run, stage):
        settings = _settings_of(run, stage, maker)
        for key, value in flat_settings(settings):
            teller, told = taken.setdefault(key, (maker.name, value))
            if told != value:
                places = (f"in {teller}", f"in {maker.name}")
                words = "; ".join(changed({key: told}, {key: value}, places))
                raise UserError(_mixture(run, stage, maker, words))
        for key, value in settings.items():
            _put(values, key, value)
    try:
        recipe = _with_views(run, stage, Recipe.model_validate(values))
    except ValidationError as error:
        raise _of_another_version(run, stage, one_line(error)) from error
    if recipe.data.source == run.recipe.data.source:
        for maker in _before(run, stage):
            _check_data(run, stage, maker)
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


def check_inputs_belong(run: Run, stage: RunStage) -> None:
    """Raise UserError where a file was made from another than is there, before hours go into it.

    Of stages whose stamps lie in the run's own folder, and note it: a file put there by hand is the
    user's business, until it is to be described.
    """
    for maker in _before(run, stage):
        if not run.stamp(maker.name).exists():
            continue
        made_from = stamps.read_stamp(run, maker.name).get("made_from")
        if made_from and set(maker.makes(run)) & set(stage.needs(run)):
            _check_made_from(run, stage, maker, made_from["inputs"])


def _before(run: Run, stage: RunStage) -> list[RunStage]:
    """Return the stages before one that the recipe has, but for those that are not described."""
    before = STAGES[: [other.name for other in STAGES].index(stage.name)]
    return [s for s in before if s.name not in UNDESCRIBED and not left_out(run, s)]


def _check_made_from(run: Run, stage: RunStage, maker: RunStage, inputs: dict[str, str]) -> None:
    others = stamps.changed_files(run, inputs)
    check_readable(run, others)
    if others:
        words = f"{maker.makes(run)[0]} was not made from the {others[0]} that is there"
        raise UserError(_mixture(run, stage, maker, words))


def _with_views(run: Run, stage: RunStage, recipe: Recipe) -> Recipe:
    """Return the recipe with as many cached views as the search went through."""
    if recipe.space is None:
        return recipe
    made_from = stamps.read_stamp(run, "search").get("made_from")
    if made_from is None:
        return recipe
    views = 0
    if f"cache/{INDEX}" in made_from["inputs"]:
        if not run.stamp("cache").exists():
            return recipe
        noted = stamps.read_stamp(run, "cache").get("made_from")
        views = noted["settings"].get("views") if noted else recipe.views
        if not isinstance(views, int):
            raise _of_another_version(run, stage, f"that of cache has views {views!r}")
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
    _check_made_from(run, stage, maker, noted["made_from"]["inputs"])
    others = stamps.changed_files(run, noted["makes"])
    check_readable(run, others)
    if others:
        words = f"{run.path(others[0])} is not as {maker.name} left it"
        raise UserError(_mixture(run, stage, maker, words))
    settings = noted["made_from"]["settings"]
    for key in maker.settings:
        if key not in settings and key != "gradients":  # which is noted only where they are kept
            raise _of_another_version(run, stage, f"that of {maker.name} has no {key!r}")
    return settings


def _check_data(run: Run, stage: RunStage, maker: RunStage) -> None:
    """Raise UserError where a stage was made from other images than the same place holds now."""
    made_from = stamps.read_stamp(run, maker.name).get("made_from", {"outside": {}})
    noted = made_from["outside"].get("data")
    if noted is not None and noted != run.held.get("data"):
        words = f"what {run.recipe.data.source} holds is not what {maker.name} was made from"
        raise UserError(_mixture(run, stage, maker, words))


def _of_another_version(run: Run, stage: RunStage, found: str) -> UserError:
    return UserError(
        f"{stage.name}: the stamps in {run.path('.stages')} are of another version of this package "
        f"({found}); run the stages anew in another folder, with --workdir."
    )


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
        values = values.setdefault(section, {})  # one that is not known is refused then
        if not isinstance(values, dict):
            return  # and so is what is no section
    values[last] = value
