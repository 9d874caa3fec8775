"""`--quiet` and `--no-progress`, which every command has."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from functools import wraps
from typing import Annotated, Any

import typer

from rnascl_keras.cli.measurement import parameters
from rnascl_keras.cli.options import FLAG
from rnascl_keras.progress import Telling, telling

QuietOption = Annotated[
    bool, typer.Option("--quiet", metavar=FLAG, help="Say results and errors only.")
]
NoProgressOption = Annotated[
    bool,
    typer.Option(
        "--no-progress", metavar=FLAG, help="Draw no bars, as where the output is no terminal."
    ),
]


def with_telling(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command, as typer reads it, the two options, and let them hold while it works."""

    def options(quiet: QuietOption = False, no_progress: NoProgressOption = False) -> None: ...

    def call(*, quiet: bool, no_progress: bool, **given: Any) -> None:
        how_much = Telling.NOTHING if quiet else Telling.LINES if no_progress else Telling.BARS
        with telling(how_much):
            command(**given)

    shown: Any = wraps(command)(call)  # the type of a function has no signature to set
    shown.__signature__ = inspect.Signature([*parameters(command), *parameters(options)])
    shown.__annotations__ = {p.name: p.annotation for p in shown.__signature__.parameters.values()}
    return shown
