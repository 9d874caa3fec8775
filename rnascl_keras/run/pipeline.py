"""A recipe's stages done in order, each in its turn; what is done already is left out."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from rnascl_keras.distribution.workers import reporting_lost_workers
from rnascl_keras.errors import UserError
from rnascl_keras.files.full_disk import reporting_full_disk
from rnascl_keras.files.lock import locked
from rnascl_keras.run import begun, stamps
from rnascl_keras.run.as_made import check_inputs_belong, recipe_of_files
from rnascl_keras.run.clock import Clock
from rnascl_keras.run.lost_work import check_nothing_is_lost
from rnascl_keras.run.origin import Origin, differences
from rnascl_keras.run.stage_table import STAGES, RunStage, left_out
from rnascl_keras.run.stamps import STAGE_NAMES
from rnascl_keras.run.workdir import Run


def run_stages(run: Run, names: Sequence[str] = STAGE_NAMES) -> None:
    """Do the named stages in order; one whose output is there, made from the same, is skipped.

    Raises:
        UserError: a stage's input is missing, the settings do not fit, the folder is not writable
            or another run works in it; or work of other settings would be lost.
        Stopped: SIGTERM came; what was done is saved.
        WorkerLost: another of several workers does not answer any more.
    """
    for stage in STAGES:
        if stage.name in names and not left_out(run, stage):
            stage.outside(run)  # a file that is not there is missed now, not after hours
    run.open()
    try:
        with reporting_full_disk(run.workdir), reporting_lost_workers(run.strategy), _alone(run):
            for stage in STAGES:
                if stage.name not in names:
                    continue
                if reason := left_out(run, stage):
                    if len(names) == 1:
                        run.say(f"{stage.name}: left out, {reason}")
                    continue
                _do(run, stage)
            run.wait_for_all_workers()  # none leaves before the chief is done
    finally:
        run.leave()


@contextmanager
def _alone(run: Run) -> Iterator[None]:
    """Hold the work folder; of several workers, the chief does."""
    if run.is_chief:
        with locked(run.path(".stages/lock")):
            yield
    else:
        yield


def _do(run: Run, stage: RunStage) -> None:
    """Do a stage, unless it is done already."""
    run.wait_for_all_workers()  # the files of the stages before are there for all of them
    _check_inputs(run, stage)
    if stage.describes:
        run.recipe = recipe_of_files(run, stage)
    origin = stamps.origin_of(run, stage)
    is_done = stamps.is_done(run, stage, origin.signature)
    if not is_done:
        check_inputs_belong(run, stage)
        _check_what_is_there(run, stage, origin)
    run.wait_for_all_workers()  # and nobody writes before all have looked
    if is_done:
        run.say(f"{stage.name}: already done from the same settings")
        return
    with reporting_full_disk(run.workdir, stage.name):
        with begun.noting(run, stage.name, origin) if stage.kept else Clock() as clock:
            _work(run, stage, origin.signature)
        if run.is_chief:
            stamps.write_stamp(run, stage, origin, clock.seconds)
            begun.end(run, stage.name)


def _check_what_is_there(run: Run, stage: RunStage, origin: Origin) -> None:
    """Say why a stage that was done is made anew; raise UserError where its work would be lost."""
    made = run.path(stage.makes(run)[0])
    noted = stamps.read_stamp(run, stage.name) if run.stamp(stage.name).exists() else None
    if stage.kept and not _is_copy(noted):
        check_nothing_is_lost(run, stage.name, origin, made, noted)
    if noted is None or not made.exists():
        return
    if noted["signature"] != origin.signature:
        run.say(f"{stage.name}: made anew: {'; '.join(differences(noted, origin))}")
    elif changed := stamps.changed_files(run, noted["makes"]):
        run.say(f"{stage.name}: made anew: {changed[0]} is not as it was left")


def _is_copy(noted: dict[str, Any] | None) -> bool:
    """Return whether the teacher that is there was only read from a file that is elsewhere."""
    settings = (noted or {}).get("made_from", {}).get("settings", {})
    teacher = settings.get("teacher")
    return isinstance(teacher, dict) and bool(teacher.get("weights"))


def _work(run: Run, stage: RunStage, signature: str) -> None:
    """Let whoever is concerned do a stage; what is read for it is not kept for the next."""
    try:
        if stage.shared(run):
            with run.strategy.scope():
                stage.work(run, signature)
        elif run.is_chief:
            stage.work(run, signature)
    finally:
        run.forget()


def _check_inputs(run: Run, stage: RunStage) -> None:
    for name in stage.needs(run):
        if not run.path(name).exists():
            maker = next(s.name for s in STAGES if name in s.makes(run))
            raise UserError(
                f"{stage.name} needs {run.path(name)}, which is not there; make it with "
                f"`{run.command_line(maker)}`, or everything with `{run.command_line('run')}`."
            )
