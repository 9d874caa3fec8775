"""Options that several commands have, each with its help."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from rnascl_keras.recipe import recipe_names

DATA_DIR_VARIABLE = "TFDS_DATA_DIR"
INSTALL = "pip install 'rnascl-keras[train]'"
FLAG = ""
"""What the help shows where others take a value: typer would write that this is a bool."""

RecipeArgument = Annotated[
    str,
    typer.Argument(
        metavar="RECIPE",
        help="Name of a recipe, or a .py file with one.",
        autocompletion=recipe_names,
    ),
]
WorkdirOption = Annotated[
    Path | None, typer.Option(help="Folder of the run; by default runs/<recipe>.")
]
DataDirOption = Annotated[
    str | None,
    typer.Option(envvar=DATA_DIR_VARIABLE, help="Where tensorflow-datasets keeps its data."),
]
SetOption = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="KEY=VALUE", help="Change a setting, e.g. search.epochs=5."),
]
StrategyOption = Annotated[
    str | None,
    typer.Option(help="Devices to use: auto, one, mirrored, multi_worker or tpu."),
]
SaveOption = Annotated[
    int | None,
    typer.Option("--save-every-steps", help="Save inside the epochs too, not only after each."),
]
LogOption = Annotated[
    list[str] | None,
    typer.Option("--log", help="Write each training's epochs down: mlflow or wandb; repeatable."),
]
OverwriteOption = Annotated[
    bool,
    typer.Option(
        "--overwrite",
        metavar=FLAG,
        help="Redo what was made with other settings; the old files are deleted.",
    ),
]
