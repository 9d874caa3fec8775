"""The command that writes a recipe for one's own images."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from rnascl_keras.cli.options import DataDirOption
from rnascl_keras.cli.start import keeps_nothing, quiet_start, say

app = typer.Typer()


@app.command()
def new(
    images: Annotated[
        str,
        typer.Argument(
            metavar="IMAGES",
            help="A folder of <class>/*.jpg, or with train/ and val/; an .npz; a tfds name.",
        ),
    ],
    out: Annotated[Path, typer.Option(help="The .py file to write.")],
    data_dir: DataDirOption = None,
) -> None:
    """Look at images, and write a recipe for them that runs as it is: what it chose, and why."""
    with quiet_start():
        from rnascl_keras.drafting.command import new_recipe
    with keeps_nothing():
        new_recipe(images, out, data_dir, say)
