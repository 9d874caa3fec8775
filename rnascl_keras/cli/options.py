"""Options that several commands have, each with its help."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

RecipeArgument = Annotated[
    str, typer.Argument(metavar="RECIPE", help="Name of a recipe, or a .py file with one.")
]
WorkdirOption = Annotated[
    Path | None, typer.Option(help="Folder of the run; by default runs/<recipe>.")
]
DataDirOption = Annotated[
    str | None,
    typer.Option(envvar="TFDS_DATA_DIR", help="Where tensorflow-datasets keeps its data."),
]
SetOption = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="KEY=VALUE", help="Change a setting, e.g. search.epochs=5."),
]
StrategyOption = Annotated[
    str | None,
    typer.Option(help="auto, one, mirrored, multi_worker or tpu: on what to work."),
]
SaveOption = Annotated[
    int | None,
    typer.Option("--save-every-steps", help="Save inside the epochs too, not only after each."),
]
DataOption = Annotated[
    str | None, typer.Option(help="A tfds name, its test split, or an .npz with x and y.")
]
AttacksOption = Annotated[str, typer.Option(help="Of fgsm, pgd, mi_fgsm, cw, square, auto_attack.")]
EpsOption = Annotated[str, typer.Option(help="Radius in pixels of [0, 1].")]
NormOption = Annotated[str, typer.Option(help="Linf or L2.")]
SweepOption = Annotated[
    str | None, typer.Option(help="More radii, e.g. 2/255,4/255,16/255: a table of all.")
]
PlotOption = Annotated[Path | None, typer.Option(help="Draw the sweep there, as SVG.")]
CheckOption = Annotated[
    int, typer.Option(min=0, help="Images on which to look for false robustness; 0: none.")
]
CountOption = Annotated[int, typer.Option(min=1, help="The first n images of the test split.")]
SeedOption = Annotated[int, typer.Option(min=0, help="Of the random starts.")]
JsonOption = Annotated[Path | None, typer.Option(help="Write the figures there.")]
