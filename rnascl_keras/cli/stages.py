"""The commands of a recipe: all stages, or one of them."""

from __future__ import annotations

from typing import Annotated

import typer

from rnascl_keras.cli.options import (
    DataDirOption,
    LogOption,
    OverwriteOption,
    RecipeArgument,
    SaveOption,
    SetOption,
    StrategyOption,
    WorkdirOption,
)
from rnascl_keras.cli.start import open_run, run_stages
from rnascl_keras.errors import UserError
from rnascl_keras.run.tracking import check_trackers
from rnascl_keras.run.workdir import Run

app = typer.Typer()


ALL = """All stages: teacher, cache, search, derive, train, finetune, export, evaluate, report.

A stage whose files are there, made from the same settings, is skipped; one
that was cut short goes on from where it was saved last. What other settings
have made, or begun, is lost only with --overwrite. On SIGTERM the step is
finished and saved; the exit code is then 75.
"""


TRAINING = ("run", "teacher", "search", "train", "finetune")
"""The commands that `--log` is for."""


def _stage_command(name: str, text: str) -> None:
    """Add the command of one stage, or `run`, that of all."""

    def command(
        recipe: RecipeArgument,
        workdir: WorkdirOption = None,
        data_dir: DataDirOption = None,
        set_: SetOption = None,
        strategy: StrategyOption = None,
        save_every_steps: SaveOption = None,
        log: LogOption = None,
        overwrite: OverwriteOption = False,
    ) -> None:
        if log and name not in TRAINING:
            raise UserError(f"--log writes trainings down, and {name} makes none; leave it out.")
        options = (workdir, data_dir, set_, strategy, save_every_steps)
        work = open_run(recipe, *options, overwrite=overwrite)
        work.log = check_trackers(log or ())
        run_stages(work, *([] if name == "run" else [name]))
        if name in ("run", "report") and work.is_chief:
            _show(work)

    app.command(name, help=text)(command)


_stage_command("run", ALL)
_stage_command("teacher", "Train the robust teacher, or read teacher.weights: teacher.keras.")
_stage_command("cache", "Ask the teacher once about every view of every image: cache/.")
_stage_command("search", "Search widths and tutors under the teacher: search/.")


@app.command()
def derive(
    recipe: RecipeArgument,
    workdir: WorkdirOption = None,
    data_dir: DataDirOption = None,
    set_: SetOption = None,
    max_macs: Annotated[
        float | None, typer.Option(help="Most probable architecture within this many MACs.")
    ] = None,
    overwrite: OverwriteOption = False,
) -> None:
    """Select the most probable widths and tutors: architecture.json."""
    budget = [f"derive.max_macs={max_macs}"] if max_macs is not None else []
    changes = [*(set_ or []), *budget]
    run_stages(open_run(recipe, workdir, data_dir, changes, overwrite=overwrite), "derive")


_stage_command("train", "Train the derived student by eq. 3: student.keras.")
_stage_command(
    "finetune", "Fine-tune the student, by TRADES unless set otherwise: student_trades.keras."
)
_stage_command(
    "export", "Export every student to SavedModel, ONNX and LiteRT, float and int8: export/."
)
_stage_command("report", "Write report.json and report.html, and print the closing table.")


def _show(work: Run) -> None:
    from rnascl_keras.files.whole import read_json
    from rnascl_keras.report.terminal import print_summary
    from rnascl_keras.run.figures import REPORT

    print_summary(read_json(work.path("report.json"), REPORT), workdir=work.workdir)
