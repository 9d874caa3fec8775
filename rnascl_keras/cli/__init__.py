"""Train small robust image classifiers, and attack deployed ones: ONNX, LiteRT, Keras."""

from __future__ import annotations

import importlib.metadata
import io
import os
import re
import sys
from typing import Annotated, Any

import typer

from rnascl_keras import __version__
from rnascl_keras.cli import (
    cleaning,
    drafting,
    experiments,
    finding,
    models,
    networks,
    stages,
)
from rnascl_keras.cli.freed_memory import keep_freed_memory
from rnascl_keras.cli.options import FLAG, INSTALL
from rnascl_keras.cli.telling import with_telling
from rnascl_keras.errors import (
    BelowTheGate,
    NothingKept,
    Stopped,
    UserError,
    WorkerLost,
    printable,
)
from rnascl_keras.files.temporary import own_temporary_folder
from rnascl_keras.recipe import recipe_names
from rnascl_keras.run.stopping import EXIT_CODE, stopped_by_sigterm

app = typer.Typer(
    help=__doc__,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    epilog="Recipes: " + ", ".join(recipe_names()),
)
for part in (finding, drafting, stages, models, experiments, networks, cleaning):
    for command in part.app.registered_commands:
        if command.callback:
            command.callback = with_telling(command.callback)
    app.add_typer(part.app)


def _say_version(asked: bool) -> None:
    if asked:
        typer.echo(f"rnascl-keras {__version__}")
        raise typer.Exit


@app.callback()
def of_all_commands(
    version: Annotated[
        bool,
        typer.Option(
            "--version",
            metavar=FLAG,
            callback=_say_version,
            is_eager=True,
            help="Show the version and exit.",
        ),
    ] = False,
) -> None:
    """What is asked of no command."""


USAGE_ERROR: Any = typer.BadParameter.__mro__[1]
"""click's UsageError: typer brings its own click, or did not, by version."""

IMPORTED_OTHERWISE = {"sklearn"}
"""Modules whose packages have another name."""

BELOW = 1
"""Exit code where an accuracy is below what `--fail-below` wants."""

STOPPED = 130
"""Exit code after Ctrl-C, a KeyboardInterrupt."""


def main() -> None:
    """Run the command line; a user's mistake is one line on standard error and exit code 2."""
    _print_whatever_comes()
    keep_freed_memory()
    try:
        with own_temporary_folder(), stopped_by_sigterm():
            code = app(sys.argv[1:] or ["--help"], prog_name="rnascl", standalone_mode=False)
    except UserError as error:
        _refuse(str(error))
    except BelowTheGate as error:
        _say("rnascl: " + printable(str(error)))
        sys.exit(BELOW)
    except Stopped:
        _say("rnascl: stopped by SIGTERM; the same command goes on from there.")
        sys.exit(EXIT_CODE)
    except NothingKept as stop:
        _say(f"rnascl: {stop}; nothing was kept, and the same command begins anew.")
        sys.exit(EXIT_CODE if isinstance(stop.__cause__, Stopped) else STOPPED)
    except WorkerLost as lost:
        _say(
            "rnascl: a worker does not answer any more; start all of them again to go on "
            f"({printable(str(lost))})."
        )
        os._exit(EXIT_CODE)  # the interpreter's own end would wait for the worker that is gone
    except ModuleNotFoundError as error:
        if not is_of_training(error.name):
            raise
        _refuse(
            f"this needs {error.name}, which is not installed; type: {INSTALL}. Attacking an ONNX "
            "file on an .npz or a folder of <class>/*.jpg does without: check what --data names."
        )
    except USAGE_ERROR as error:
        command = error.ctx.command_path if error.ctx else "rnascl"
        _refuse(f"{error.format_message().rstrip('.')}; see `{command} --help`.")
    if code == STOPPED:
        _say("rnascl: stopped; the same command goes on from what was saved last.")
    sys.exit(code)


def is_of_training(module: str | None) -> bool:
    """Return whether a module that is missing comes with the extra `train`."""
    named = (module or "").partition(".")[0].replace("_", "-")
    wanted = importlib.metadata.requires("rnascl-keras") or []
    extra = [line for line in wanted if 'extra == "train"' in line.replace("'", '"')]
    packages = {re.split(r"[^\w-]", line)[0].replace("_", "-") for line in extra}
    return named in packages | IMPORTED_OTHERWISE


def _print_whatever_comes() -> None:
    """Print a ? for what the terminal's or pipe's encoding lacks: figures have not to be lost for a
    Greek letter beside them."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")


def _refuse(reason: str) -> None:
    _say("rnascl: " + printable(" ".join(reason.split())))
    sys.exit(2)


def _say(line: str) -> None:
    """Say why the command ended, `--quiet` or not."""
    typer.echo(line, err=True)
