"""The runs behind a trial: folders of their own, which take from others what they share."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rnascl_keras.files.hashes import digest
from rnascl_keras.recipe import Recipe
from rnascl_keras.run.latency import TABLE
from rnascl_keras.run.workdir import Run

if TYPE_CHECKING:
    import tensorflow as tf

    from rnascl_keras.data import Splits


@dataclass
class SharingRun(Run):
    """A run that has its data and devices, and some of its files, from others.

    Args:
        origin: whose data and strategy it works with.
        taken: first part of a file's path in the work folder -> the run whose file it is.
    """

    origin: Run = field(kw_only=True)
    taken: dict[str, Run] = field(default_factory=dict)

    def path(self, name: str) -> Path:
        """Return the path of one of the run's files, or of another's that it shares."""
        holder = self.taken.get(name.split("/")[0])
        return holder.path(name) if holder else super().path(name)

    @property
    def strategy(self) -> tf.distribute.Strategy:
        """That of the origin."""
        return self.origin.strategy

    @property
    def data(self) -> Splits:
        """That of the origin."""
        return self.origin.data

    @property
    def held(self) -> dict[str, str]:
        """That of the origin, whose images they are."""
        return self.origin.held


class ShortenedRecipe(Recipe):
    """A recipe with fewer epochs, for which the cache of the whole one serves on."""

    @property
    def views(self) -> int:
        """As many as are in the cache, also where no training has as many epochs."""
        return self.cache.views


def shortened(recipe: Recipe, views: int, fraction: float) -> ShortenedRecipe:
    """Return the recipe with a fraction of its epochs of search and training, at least one each.

    Args:
        recipe: of the trial.
        views: in the cache of the whole recipe.
        fraction: above 0, at most 1.
    """

    def scaled(epochs: int) -> int:
        # what a quotient of whole numbers loses is no epoch more
        return math.ceil(round(fraction * epochs, 6))

    values = recipe.model_dump()
    values["cache"]["views"] = views
    for section in ("search", "train"):
        own = values[section]
        own["epochs"] = scaled(own["epochs"])
        if own["decay_epochs"]:
            own["decay_epochs"] = sorted(set(map(scaled, own["decay_epochs"])))
    return ShortenedRecipe.model_validate(values)


def trial_run(run: Run, recipe: Recipe) -> SharingRun:
    """Return the run that trains a trial's student.

    Teacher and table of latencies are the whole run's, and so is the cache where taps and map size
    are; the search is that of all trials whose settings of it are the same. All lie in `tune/` and
    are kept.

    Args:
        run: whose recipe is tuned.
        recipe: of the trial.
    """
    teacher = {"teacher.keras": run, TABLE: run}
    same = (recipe.search.taps, recipe.search.map_size) == (
        run.recipe.search.taps,
        run.recipe.search.map_size,
    )
    asked = _beside(run, recipe, "cache", ("search.taps", "search.map_size"), teacher)
    told = teacher | {"cache": run if same else asked}
    searched = _beside(run, recipe, "search", ("search", "derive"), told)
    found = {"search": searched, "architecture.json": searched}
    return _beside(run, recipe, "trial", ("search", "derive", "train"), told | found)


SHARED = ("space", "data", "teacher", "cache", "seed")
"""Sections that all trials of a tuning have in common."""


def _beside(
    run: Run, recipe: Recipe, kind: str, settings: tuple[str, ...], taken: dict[str, Run]
) -> SharingRun:
    """Return a run in `tune/`, whose folder's name stands for these settings."""
    values: dict[str, Any] = recipe.model_dump(mode="json")
    chosen = [values[key] for key in SHARED]
    for setting in settings:
        section, _, key = setting.partition(".")
        chosen.append(values[section][key] if key else values[section])
    folder = run.path(f"tune/{kind}_{digest(chosen)[:8]}")
    if run.held and not folder.exists():  # one of an earlier version, when images did not count
        folder = run.path(f"tune/{kind}_{digest([*chosen, run.held])[:8]}")
    names = ("data_dir", "listener", "command", "overwrite", "cache_settings")
    shared = {name: getattr(run, name) for name in names}
    return SharingRun(recipe, folder, origin=run, taken=taken, **shared)
