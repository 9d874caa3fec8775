"""A recipe's stages done in order, each in its turn; what is done already is left out."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from rnascl_keras.distribution.workers import reporting_lost_workers
from rnascl_keras.errors import UserError
from rnascl_keras.files.full_disk import reporting_full_disk
from rnascl_keras.files.lock import locked
from rnascl_keras.run import stamps
from rnascl_keras.run.checkpoint import Checkpoint
from rnascl_keras.run.stage_table import STAGES, RunStage
from rnascl_keras.run.stamps import STAGE_NAMES
from rnascl_keras.run.workdir import Run


def run_stages(run: Run, names: Sequence[str] = STAGE_NAMES) -> None:
    """Do the named stages in order; one whose output is there, made from the same, is skipped.

    Raises:
        UserError: a stage's input is missing, the settings do not fit, the folder is not writable
            or another run works in it.
        Stopped: SIGTERM came; what was done is saved.
        WorkerLost: another of several workers does not answer any more.
    """
    run.open()
    with reporting_full_disk(run.workdir), reporting_lost_workers(run.strategy), _alone(run):
        for stage in STAGES:
            if stage.name not in names:
                continue
            if reason := _left_out(run, stage):
                if len(names) == 1:
                    run.say(f"{stage.name}: left out, {reason}")
                continue
            _do(run, stage)
        run.wait_for_all_workers()  # none leaves before the chief is done


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
    signature = stamps.signature_of(run, stage)
    is_done = stamps.is_done(run, stage, signature)
    run.wait_for_all_workers()  # and nobody writes before all have looked
    if is_done:
        run.say(f"{stage.name}: already done from the same settings")
        return
    begin = time.perf_counter()
    with reporting_full_disk(run.workdir, stage.name):
        _work(run, stage, signature)
        if run.is_chief:
            stamps.write_stamp(run, stage, signature, time.perf_counter() - begin)
            Checkpoint(run.checkpoint(stage.name)).remove()


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


def _left_out(run: Run, stage: RunStage) -> str | None:
    """Return why the recipe is without this stage, or None."""
    if stage.name == "cache" and not run.recipe.views:
        return "for cache.views is 0: the teacher is asked in every step"
    if stage.name == "finetune" and not run.recipe.finetune:
        return "for finetune is null"
    return None


def _check_inputs(run: Run, stage: RunStage) -> None:
    arguments = run.command_arguments or run.recipe.name
    for name in stage.needs(run):
        if not run.path(name).exists():
            maker = next(s.name for s in STAGES if name in s.makes(run))
            raise UserError(
                f"{stage.name} needs {run.path(name)}, which is not there; make it with "
                f"`rnascl {maker} {arguments}`, or everything with `rnascl run {arguments}`."
            )
