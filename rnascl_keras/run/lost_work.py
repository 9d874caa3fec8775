"""Work of other settings, finished or begun, is not lost without a word."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from rnascl_keras.errors import UserError
from rnascl_keras.run import begun
from rnascl_keras.run.origin import Origin, differences
from rnascl_keras.run.reading import check_readable
from rnascl_keras.run.workdir import Run

OTHERS = "other settings or files"
SCHEDULE = (
    "the schedule of the learning rate is made for a number of epochs, so a training goes on only "
    "with its own"
)


def check_nothing_is_lost(
    run: Run, name: str, now: Origin, made: Path, noted: dict[str, Any] | None
) -> None:
    """Raise UserError where making something would lose work that the user did not give up.

    That is what is finished, and what was begun, under other settings or from other files. What
    has diverged is no such work, nor is anything where the run is told to overwrite.

    Args:
        run: in whose folder it lies.
        name: of the stage, or of a row of a comparison.
        now: what it would be made from.
        made: the file that is there when it is finished.
        noted: what is noted of it, see `Origin.as_dict`; None where nothing is.
    """
    note, saved = begun.noted(run, name), begun.saved_by(run, name)
    own = [note.get("signature"), saved.signature if saved else None]
    if run.overwrite or now.signature in own:  # begun already, so it was agreed to
        return
    if made.exists() and (noted is None or noted["signature"] != now.signature):
        check_readable(run, now.inputs)  # damage is told as such
        raise UserError(
            f"{name}: {made} is there, made from {OTHERS}: "
            f"{'; '.join(differences(noted or {}, now))}. {_choice('make', made)}"
        )
    if saved is not None:
        fits = note.get("signature") == saved.signature
        _check_begun(run, name, saved.epoch, note if fits else {}, now)


def _check_begun(run: Run, name: str, epoch: int, note: dict[str, Any], now: Origin) -> None:
    """Raise UserError for what was saved after `epoch`, unless it has diverged."""
    found = differences(note, now)
    if note.get("diverged"):
        run.say(f"{name}: begins anew after a divergence: {'; '.join(found)}")
        return
    if any(".epochs: " in difference for difference in found):
        found.append(SCHEDULE)
    path = run.checkpoint(name)
    raise UserError(
        f"{name}: {path} was saved after epoch {epoch}, of a training from {OTHERS}: "
        f"{'; '.join(found)}. Give the settings it was begun with, and it goes on. "
        f"{_choice('begin', path)}"
    )


def _choice(verb: str, path: Path) -> str:
    return (
        f"Give --overwrite to {verb} anew, which loses {path.name}, or another folder with "
        "--workdir."
    )
