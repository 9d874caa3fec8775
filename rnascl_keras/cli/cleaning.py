"""The command that deletes a run's files."""

from __future__ import annotations

from typing import Annotated

import typer

from rnascl_keras.cli.options import FLAG, RecipeArgument, WorkdirOption
from rnascl_keras.cli.start import open_run, quiet_start, say
from rnascl_keras.errors import UserError
from rnascl_keras.files.lock import locked
from rnascl_keras.units import size

app = typer.Typer()


@app.command()
def clean(
    recipe: RecipeArgument,
    workdir: WorkdirOption = None,
    yes: Annotated[bool, typer.Option("--yes", "-y", metavar=FLAG, help="Do not ask.")] = False,
) -> None:
    """Delete what a recipe's run has made, after saying what that is, and asking."""
    work = open_run(recipe, workdir, None, None)
    with quiet_start():
        from rnascl_keras.run.cleaning import NOTES, delete, leftovers
    found = leftovers(work)
    with locked(work.path(f"{NOTES}/lock")):
        pass  # a folder in which a run is at work is refused before anything is asked
    for path in found.made:
        typer.echo(f"{path}{'/' if path.is_dir() else ''}")
    if found.others:
        typer.echo(f"left, for no run has made them: {', '.join(found.others)}")
    if not yes:
        _ask(f"Delete these {len(found.made)}, {size(found.size)}?")
    delete(work, found)
    say(f"clean: {size(found.size)} deleted from {work.workdir}")


def _ask(question: str) -> None:
    """Raise UserError unless the user says yes."""
    try:
        agreed = typer.confirm(question, err=True)
    except typer.Abort:  # no more input, as where nobody is there to answer
        agreed = False
    if not agreed:
        raise UserError("nothing was deleted; answer y, or give --yes.")
