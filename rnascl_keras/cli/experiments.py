"""The commands of many students: compare ways to train them, tune the settings."""

from __future__ import annotations

from typing import Annotated

import typer

from rnascl_keras.cli.options import (
    DataDirOption,
    OverwriteOption,
    RecipeArgument,
    SetOption,
    WorkdirOption,
)
from rnascl_keras.cli.parsing import parse_seeds
from rnascl_keras.cli.start import open_run, quiet_start
from rnascl_keras.comparison.names import METHOD_NAMES
from rnascl_keras.files.full_disk import reporting_full_disk
from rnascl_keras.units import parse_radii

app = typer.Typer()


@app.command()
def compare(
    recipe: RecipeArgument,
    workdir: WorkdirOption = None,
    data_dir: DataDirOption = None,
    set_: SetOption = None,
    methods: Annotated[
        str | None,
        typer.Option(metavar="NAMES", help=f"Some of {', '.join(METHOD_NAMES)}; by default all."),
    ] = None,
    seeds: Annotated[
        str, typer.Option(help="Seeds, e.g. 0,1; every method is trained once with each.")
    ] = "0",
    radii: Annotated[
        str | None,
        typer.Option(help="Radii of PGD-20; by default 1/4, 1/2 and 1 of evaluation.epsilon."),
    ] = None,
    auto_attack: Annotated[
        int, typer.Option(min=0, help="Images for AutoAttack at the largest radius; 0: none.")
    ] = 0,
    overwrite: OverwriteOption = False,
) -> None:
    """Train the same student in the paper's way and in others: a table and a picture.

    Teacher, search and architecture are the recipe's and are made once. A row that is there, made
    from the same settings, is skipped; one that was cut short goes on from what was saved last.
    """
    work = open_run(recipe, workdir, data_dir, set_, overwrite=overwrite)
    chosen_seeds, measured_at = parse_seeds(seeds), parse_radii(radii)
    with quiet_start():
        from rnascl_keras.comparison.command import compare_run
    chosen = methods.split(",") if methods else METHOD_NAMES
    given = ["--methods", methods] if methods else []
    given += ["--seeds", seeds]
    given += ["--radii", radii] if radii else []
    given += ["--auto-attack", str(auto_attack)] if auto_attack else []
    command = work.command_line("compare", *given)
    with reporting_full_disk(work.workdir):
        compare_run(work, chosen, chosen_seeds, measured_at, auto_attack, command)


TUNE = """Try settings, and write the best: tune.json, tune.png, RECIPE_tuned.py.

A trial searches and trains a student, and attacks it by PGD-20 on the
validation images, which the recipe has to hold back (data.validation).
Teacher and cache are made once, a search only where its settings differ:
tuning gamma_t alone searches once.

Start with the few settings that matter most, and with fewer epochs:

rnascl tune digits --tune gamma_t,kl --trials 10 --set train.epochs=10

Stopped in any way, the same command goes on; more --trials add to those
that are there. All is kept in the folder tune/ of the run.

The best of many trials looks better than it is: run the recipe that was
written, and believe what it says of the test images.
"""

TuneOption = Annotated[
    str | None,
    typer.Option(
        "--tune",
        metavar="NAMES",
        help="Some of gamma_s, gamma_t, kl, softening, combine, beta, alpha, taps, map_size, "
        "noise, gumbel_temperature, gumbel_decay; by default all. beta and alpha count with "
        "combine multiply and add.",
    ),
]


@app.command(help=TUNE)
def tune(
    recipe: RecipeArgument,
    workdir: WorkdirOption = None,
    data_dir: DataDirOption = None,
    set_: SetOption = None,
    method: Annotated[
        str,
        typer.Option(
            help="bayesian (few trials), hyperband (many short ones, the best of them longer) or "
            "random."
        ),
    ] = "bayesian",
    trials: Annotated[
        int, typer.Option(help="Largest number of trials; the first is the recipe unchanged.")
    ] = 20,
    hours: Annotated[
        float | None, typer.Option(help="Start no trial after this many hours.")
    ] = None,
    names: TuneOption = None,
    least_clean: Annotated[
        float, typer.Option(help="Clean accuracy, 0 to 1, below which a student counts last.")
    ] = 0.5,
    seed: Annotated[int, typer.Option(help="Seed of the search for settings.")] = 0,
    overwrite: OverwriteOption = False,
) -> None:
    """See `TUNE`."""
    work = open_run(recipe, workdir, data_dir, set_, overwrite=overwrite)
    with quiet_start():
        from rnascl_keras.tuning.command import tune_run
    with reporting_full_disk(work.workdir):
        tune_run(
            work,
            method=method,
            trials=trials,
            hours=hours,
            names=names.split(",") if names else (),
            least_clean=least_clean,
            seed=seed,
        )
