"""Deleting what a run has made: its own files, and nothing else that lies in its folder."""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass
from pathlib import Path

from rnascl_keras.errors import UserError
from rnascl_keras.files.lock import locked
from rnascl_keras.files.whole import parts_of
from rnascl_keras.run.stage_table import STAGES
from rnascl_keras.run.workdir import Run

MADE = ("cache", "student_trades.keras", "compare", "compare.json", "compare.svg")
MADE += ("tune", "tune.json", "tune.png", "networks", "networks.json", "networks.svg", "prune")
"""What a run makes with other settings than it has now, and what is made in its folder besides: by
comparisons, trials and pruning."""
NOTES = ".stages"


@dataclass(frozen=True)
class Leftovers:
    """What lies in a run's folder.

    Attributes:
        made: by the run, files and folders; the folder of its notes is the last.
        size: of these, in bytes.
        others: names of what is not the run's.
    """

    made: list[Path]
    size: int
    others: list[str]


def leftovers(run: Run) -> Leftovers:
    """Return what a run has left in its folder.

    Raises:
        UserError: the folder is not there, or no run has worked in it.
    """
    folder = run.workdir
    if not folder.is_dir():
        raise UserError(f"there is no folder {folder}: nothing is to be deleted.")
    notes = folder / NOTES
    if not notes.is_dir() or notes.is_symlink():
        raise UserError(
            f"{folder} is not the folder of a run, for it has no {NOTES}/; nothing was deleted. "
            "Give the run's own with --workdir."
        )
    names = {name.partition("/")[0] for stage in STAGES for name in stage.makes(run)}
    names |= {*MADE, f"{run.recipe.name}_tuned.py"}
    # of writing that was cut short, by earlier versions too
    parts = {part.name for name in names for part in parts_of(folder / name)}
    names |= {f"part_{name}" for name in names} | parts
    there = sorted(entry.name for entry in os.scandir(folder))
    made = [folder / name for name in there if name in names]
    others = [name for name in there if name not in (*names, NOTES)]
    return Leftovers([*made, notes], sum(map(_size, (*made, notes))), others)


def delete(run: Run, found: Leftovers) -> None:
    """Delete what a run has made, and its folder where nothing else is in it.

    Raises:
        UserError: a run is at work there.
    """
    *made, notes = found.made
    with locked(notes / "lock"):
        for path in made:
            _remove(path)
        for path in notes.iterdir():
            if path.name != "lock":
                _remove(path)
    notes.rmdir()
    if not found.others:
        run.workdir.rmdir()


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink()


def _size(path: Path) -> int:
    """Return the bytes of a file, or of all in a folder; what links point at is not counted."""
    if path.is_symlink() or not path.is_dir():
        return path.lstat().st_size
    return sum(p.lstat().st_size for p in path.rglob("*") if p.is_symlink() or not p.is_dir())
