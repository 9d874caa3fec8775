"""What was begun and not finished: the note of what it is made from, beside its checkpoint."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from rnascl_keras.errors import UserError
from rnascl_keras.files.shape import Shape
from rnascl_keras.files.whole import read_json, write_json
from rnascl_keras.run.checkpoint import Checkpoint
from rnascl_keras.run.clock import Clock
from rnascl_keras.run.origin import Noted, Origin
from rnascl_keras.run.saved_state import SavedState
from rnascl_keras.run.workdir import Run

NOTE = Shape(Noted, "is not the note of what was begun", "delete it and give the command again")


@contextmanager
def noting(run: Run, name: str, now: Origin) -> Iterator[Clock]:
    """Note what a stage is being made from while it is under way, and for how long; the chief does.

    A checkpoint of something else goes. Where nothing was saved before a mistake of the user's was
    found, no note stays.
    """
    if not run.is_chief:
        yield Clock()
        return
    if (saved := saved_by(run, name)) and saved.signature != now.signature:
        run.say(f"{name}: what was begun before, and saved after epoch {saved.epoch}, is dropped")
        Checkpoint(run.checkpoint(name)).remove()
    write_json(run.begun(name), now.as_dict())
    try:
        with Clock(run.spent(name), now.signature) as clock:
            yield clock
    except UserError:
        if saved_by(run, name) is None:
            run.begun(name).unlink(missing_ok=True)
        raise


def note_divergence(run: Run, name: str) -> None:
    """Note that what was begun has diverged, so nobody will want to go on with it."""
    if note := noted(run, name):
        write_json(run.begun(name), note | {"diverged": True})


def end(run: Run, name: str) -> None:
    """Remove what is needed only until a stage is done."""
    Checkpoint(run.checkpoint(name)).remove()
    run.begun(name).unlink(missing_ok=True)
    Clock(run.spent(name)).remove()


def noted(run: Run, name: str) -> dict[str, Any]:
    """Return what `noting` noted; nothing where there is no note.

    Raises:
        UserError: the note is none.
    """
    path = run.begun(name)
    return read_json(path, NOTE) if path.exists() else {}


def saved_by(run: Run, name: str) -> SavedState | None:
    """Return the checkpoint of what was begun, its last file or the one before; None without.

    Damage is left to `Checkpoint.restore` to tell.
    """
    last = Checkpoint(run.checkpoint(name))
    for path in (last.path, last.before):
        try:
            return SavedState.read(path)
        except ValueError:
            continue
    return None
