"""What every command begins with: a run of a recipe, lines for the user, a quiet TensorFlow."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import typer

from rnascl_keras.cli.options import DATA_DIR_VARIABLE
from rnascl_keras.errors import NothingKept, Stopped
from rnascl_keras.progress import is_quiet
from rnascl_keras.recipe import load_recipe
from rnascl_keras.run.command import Command
from rnascl_keras.run.workdir import Run


def open_run(
    recipe: str,
    workdir: Path | None,
    data_dir: str | None,
    changes: list | None,
    strategy: str | None = None,
    save_every_steps: int | None = None,
    *,
    overwrite: bool = False,
) -> Run:
    """Return the run of a recipe in its folder, from a command's options.

    Raises:
        UserError: no such recipe, or a change that it does not take.
    """
    options = {"strategy": strategy, "save_every_steps": save_every_steps}
    given = [f"distribution.{key}={value}" for key, value in options.items() if value is not None]
    settings = load_recipe(recipe, [*(changes or ()), *given])
    folder = workdir or Path("runs") / settings.name
    places = ["--workdir", str(workdir)] if workdir else []
    if data_dir and data_dir != os.environ.get(DATA_DIR_VARIABLE):
        places += ["--data-dir", data_dir]
    command = Command(recipe, tuple(places), (*(changes or ()), *given))
    return Run(settings, folder, data_dir, listener=say, command=command, overwrite=overwrite)


def say(line: str) -> None:
    """Tell the user something that is not a result, on standard error; nothing with `--quiet`."""
    if not is_quiet():
        typer.echo(line, err=True)


def run_stages(run: Run, *names: str) -> None:
    """Do these stages of the run; all, where none is named."""
    with quiet_start():
        from rnascl_keras.run import pipeline
    pipeline.run_stages(run, *([names] if names else []))


@contextmanager
def keeps_nothing() -> Iterator[None]:
    """Let who stops the command within be told that it will begin anew."""
    try:
        yield
    except Stopped as stop:
        raise NothingKept("stopped by SIGTERM") from stop
    except KeyboardInterrupt as stop:
        raise NothingKept("stopped") from stop


@contextmanager
def quiet_start() -> Iterator[None]:
    """Keep TensorFlow's start-up notes, which C++ writes to the terminal itself, from the user.

    If the import fails, they are shown.
    """
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    terminal = os.dup(2)
    with tempfile.TemporaryFile() as notes:
        os.dup2(notes.fileno(), 2)
        try:
            import tensorflow as tf

            tf.config.list_physical_devices()
            yield
        except BaseException:
            notes.seek(0)
            os.write(terminal, notes.read())
            raise
        finally:
            os.dup2(terminal, 2)
            os.close(terminal)
