"""What a finished stage notes in `.stages/`: what it was made from, what it made, in how long.

By it a stage that is done is known again, and left out.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from rnascl_keras.files.hashes import content_hash, digest
from rnascl_keras.files.shape import Shape
from rnascl_keras.files.whole import read_json, write_json
from rnascl_keras.run.origin import Noted, Origin
from rnascl_keras.run.workdir import Run
from rnascl_keras.teachers.cache.shards import SUFFIX, shard_hash

if TYPE_CHECKING:
    from rnascl_keras.run.stage_table import RunStage

STAGE_NAMES = (
    "teacher",
    "cache",
    "search",
    "derive",
    "train",
    "finetune",
    "export",
    "evaluate",
    "report",
)
"""Of the stages of a run, in order."""


class _Stamp(Noted):
    makes: dict[str, str]
    seconds: float


STAMP = Shape(_Stamp, "is not what a stage leaves", "delete it and run the stage again")


def origin_of(run: Run, stage: RunStage) -> Origin:
    """Return all from which a stage is made: settings, its seed, files."""
    values = {**run.recipe.made_from(), "views": run.recipe.views}
    if run.recipe.caches_gradients:  # of which a cache without them says nothing
        values["gradients"] = True
    names = [key for key in (*stage.settings, "seed") if key != "gradients" or key in values]
    settings = {key: _value_at(values, key) for key in names}
    inputs = {name: _hash(run.path(name)) for name in stage.needs(run)}
    outside = {name: content_hash(path) for name, path in stage.outside(run).items()}
    parts = [settings, inputs, outside]
    if "data" not in stage.settings:
        return Origin(digest(parts), *parts)
    signature, held = run.signed(parts, run.stamp(stage.name), run.begun(stage.name))
    return Origin(signature, settings, inputs, outside | held)


def is_done(run: Run, stage: RunStage, signature: str) -> bool:
    """Return whether a stage of this signature is done, and all that it made is as it was.

    Raises:
        UserError: its stamp is none.
    """
    stamp = run.stamp(stage.name)
    if not stamp.exists():
        return False
    made = _read(stamp)
    return made["signature"] == signature and all(
        run.path(name).exists() and _hash(run.path(name)) == made["makes"].get(name)
        for name in stage.makes(run)
    )


def changed_files(run: Run, noted: dict[str, str]) -> list[str]:
    """Return which files, noted by name and hash, are there and are others now."""
    there = {name: run.path(name) for name in noted if run.path(name).exists()}
    return [name for name, path in there.items() if _hash(path) != noted[name]]


def write_stamp(run: Run, stage: RunStage, origin: Origin, seconds: float) -> None:
    """Note that a stage is done."""
    makes = {name: _hash(run.path(name)) for name in stage.makes(run)}
    write_json(run.stamp(stage.name), {**origin.as_dict(), "makes": makes, "seconds": seconds})


def read_stamp(run: Run, name: str) -> dict[str, Any]:
    """Return what the finished stage `name` noted; earlier versions noted no `made_from`.

    Raises:
        UserError: its stamp is none.
    """
    return _read(run.stamp(name))


def durations(run: Run) -> dict[str, float]:
    """Return the seconds that each finished stage took when it was made."""
    stamps = {name: run.stamp(name) for name in STAGE_NAMES}
    return {name: _read(path)["seconds"] for name, path in stamps.items() if path.exists()}


def _hash(path: Path) -> str:
    return shard_hash(path) if path.suffix == SUFFIX else content_hash(path)


def _value_at(values: dict[str, Any], key: str) -> Any:
    """Return the value of `section` or `section.key` in nested dicts."""
    for part in key.split("."):
        values = values[part]
    return values


def _read(path: Path) -> dict[str, Any]:
    return read_json(path, STAMP)
