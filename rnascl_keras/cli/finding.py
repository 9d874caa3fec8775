"""The commands that say what there is: to choose from, and to set."""

from __future__ import annotations

from typing import Annotated

import typer

from rnascl_keras.catalogue.kinds import KINDS, kind_of
from rnascl_keras.catalogue.show import print_kinds, print_recipe, print_settings, print_short
from rnascl_keras.cli.options import INSTALL, RecipeArgument, SetOption
from rnascl_keras.cli.start import quiet_start
from rnascl_keras.recipe import load_recipe

app = typer.Typer()


@app.command("list")
def list_(
    kind: Annotated[
        str | None,
        typer.Argument(
            metavar="KIND",
            help=f"One of {', '.join(KINDS)}; by default the names of all.",
            autocompletion=lambda: list(KINDS),
        ),
    ] = None,
) -> None:
    """What there is to choose from: recipes, spaces, teachers, attacks and more, by name."""
    missing = None
    if kind is None or kind_of(kind).waits:
        try:
            with quiet_start():
                pass  # else TensorFlow starts where teachers and methods are read
        except ModuleNotFoundError:
            if kind:
                raise
            missing = f"to see these: {INSTALL}"
    if kind:
        print_kinds([kind])
    else:
        print_short(missing=missing)


@app.command()
def show(recipe: RecipeArgument, set_: SetOption = None) -> None:
    """Every setting of a recipe: value, default where it is another, unit, what it is for."""
    print_recipe(load_recipe(recipe, set_ or ()))


@app.command()
def settings() -> None:
    """All settings that a recipe, or --set, can give: default, unit, what it is for."""
    print_settings()
