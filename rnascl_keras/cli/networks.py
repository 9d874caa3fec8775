"""The commands of networks beside ours: prune one, list the rivals, compare them."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Annotated, Any

import typer

from rnascl_keras.assignments import with_settings
from rnascl_keras.cli.named_models import file_of, is_model
from rnascl_keras.cli.options import (
    FLAG,
    DataDirOption,
    OverwriteOption,
    RecipeArgument,
    SetOption,
    WorkdirOption,
)
from rnascl_keras.cli.start import open_run, quiet_start, say
from rnascl_keras.errors import UserError
from rnascl_keras.files.full_disk import reporting_full_disk
from rnascl_keras.recipe import Data, Recipe, Teacher
from rnascl_keras.run.workdir import Run
from rnascl_keras.students import student_names
from rnascl_keras.units import parse_radius

app = typer.Typer()


@app.command()
def prune(
    model: Annotated[
        str,
        typer.Argument(
            metavar="RECIPE|MODEL.keras|STUDENT",
            help="A recipe's run, or one model: a file, hf://OWNER/REPO/FILE, or a student of "
            "`rnascl list students`.",
        ),
    ],
    way: Annotated[
        str, typer.Option(help="How the mask is found: magnitude, hydra (learned scores) or admm.")
    ] = "magnitude",
    keep: Annotated[float, typer.Option(help="Share of each layer's weights that stay.")] = 0.1,
    structured: Annotated[
        bool,
        typer.Option("--structured", metavar=FLAG, help="Whole channels: really smaller files."),
    ] = False,
    name: Annotated[
        str | None,
        typer.Option(
            "--model",
            help="Which model of a run: teacher, student or student_trades; by default the last.",
        ),
    ] = None,
    data: Annotated[
        str | None, typer.Option(help="Images for a model; as data.source of a recipe.")
    ] = None,
    augmentation: Annotated[
        str, typer.Option(help="Augmentation for a model; as data.augmentation of a recipe.")
    ] = "none",
    epochs: Annotated[int, typer.Option(help="Epochs of the fine-tuning; 0: none.")] = 20,
    mask_epochs: Annotated[
        int, typer.Option(help="Epochs of learning the mask (hydra, admm).")
    ] = 20,
    batch_size: Annotated[int, typer.Option(help="Images per step, in both trainings.")] = 128,
    learning_rate: Annotated[float, typer.Option(help="Learning rate of the fine-tuning.")] = 0.01,
    mask_learning_rate: Annotated[
        float, typer.Option(help="Learning rate of learning the mask.")
    ] = 0.1,
    method: Annotated[
        str, typer.Option(help="Adversarial training: n_fgsm, pgd, trades or fast.")
    ] = "n_fgsm",
    epsilon: Annotated[
        str | None,
        typer.Option(
            "--eps",
            help="L-infinity radius of the adversarial training; by default evaluation.epsilon.",
        ),
    ] = None,
    workdir: WorkdirOption = None,
    data_dir: DataDirOption = None,
    set_: SetOption = None,
    overwrite: OverwriteOption = False,
) -> None:
    """Prune a robust model and fine-tune it adversarially: prune/, files and figures.

    Zeros save disk and nothing else: onnxruntime multiplies by them. With --structured whole
    channels go, and files and latency shrink. Of a run the model that is made last is pruned.
    """
    from rnascl_keras.pruning.settings import Pruning

    given = {"data": data, "augmentation": augmentation, "name": name}
    work = _run_to_prune(model, given, workdir, data_dir, set_, overwrite)
    measured_at = work.recipe.evaluation.epsilon
    settings = Pruning.checked(
        way=way,
        keep=keep,
        structured=structured,
        epochs=epochs,
        mask_epochs=mask_epochs,
        batch_size=batch_size,
        learning_rate=learning_rate,
        mask_learning_rate=mask_learning_rate,
        method=method,
        epsilon=measured_at if epsilon is None else parse_radius(epsilon, "Linf"),
    )
    with quiet_start():
        from rnascl_keras.pruning.prune import prune_run
    with reporting_full_disk(work.workdir):
        prune_run(work, name, settings)


def _run_to_prune(
    model: str,
    given: dict[str, Any],
    workdir: Path | None,
    data_dir: str | None,
    changes: list[str] | None,
    overwrite: bool,
) -> Run:
    """Return a recipe's run; of a file, the run of a recipe whose teacher it is, and which searches
    nothing."""
    if not is_model(model, "prune"):
        if given["data"] is not None or given["augmentation"] != "none":
            raise UserError("--data and --augmentation are for a model; a recipe has its own.")
        return open_run(model, workdir, data_dir, changes, overwrite=overwrite)
    if given["data"] is None:
        raise UserError(f"prune {model} needs --data: a tfds name such as cifar10, or an .npz.")
    if given["name"] not in (None, "teacher"):
        raise UserError("--model is for a recipe's run; leave it out beside a model.")
    path = file_of(model, ".keras")
    if not path.is_file():
        raise UserError(f"there is no model {path}.")
    recipe = Recipe(
        name=path.stem,
        space=None,
        data=Data(source=given["data"], augmentation=given["augmentation"]),
        teacher=Teacher(weights=str(path) if model in student_names() else model),
    )
    folder = workdir or Path("runs") / f"{path.stem}_pruned"
    recipe = with_settings(recipe, changes or ())
    return Run(recipe, folder, data_dir, listener=say, overwrite=overwrite)


@app.command()
def rivals(
    measured: Annotated[
        Path | None,
        typer.Option(help="JSON of compare-networks; by default results/networks.json."),
    ] = None,
) -> None:
    """List the networks that the paper's tables compare with: published, counted, measured here."""
    from rnascl_keras.comparison.rivals_table import print_rivals

    print_rivals(measured)


QUICK = ("data.limit_train=2000", "evaluation.n=100")
"""Settings of `--quick`, with one epoch."""


@app.command("compare-networks")
def compare_networks(
    recipe: RecipeArgument,
    networks: Annotated[
        str,
        typer.Option(
            metavar="NAMES",
            help="NETWORK[:WIDTH[:CELLS]][+WAY=KEEP], with commas between, e.g. "
            "student_s3,mobilenetv2:16,darts:8:8,resnet18:32+hydra=0.1; WAY: magnitude, hydra, "
            "admm or channels.",
        ),
    ],
    epochs: Annotated[
        int | None, typer.Option(min=1, help="Epochs of each network; or give --compute.")
    ] = None,
    compute: Annotated[
        float | None,
        typer.Option(help="Budget of each network: multiply-adds x images, e.g. 5e13."),
    ] = None,
    auto_attack: Annotated[int, typer.Option(min=0, help="Images for AutoAttack; 0: none.")] = 0,
    quick: Annotated[
        bool,
        typer.Option("--quick", metavar=FLAG, help="2,000 images, one epoch, 100 test images."),
    ] = False,
    workdir: WorkdirOption = None,
    data_dir: DataDirOption = None,
    set_: SetOption = None,
    overwrite: OverwriteOption = False,
) -> None:
    """Train networks alike, export and attack them: a table, a picture, networks.json.

    Data, training (the section teacher) and evaluation are the recipe's. A network that is pruned
    trains half of its budget before. A row that is there is skipped; what was cut short goes on.
    """
    if quick and epochs is compute is None:
        epochs = 1
    if (epochs is None) == (compute is None) or not (compute is None or 0 < compute < math.inf):
        raise UserError("give the budget of each network: --epochs 10, or --compute 5e13 above 0.")
    changes = [*(QUICK if quick else ()), *(set_ or ())]
    work = open_run(recipe, workdir, data_dir, changes, overwrite=overwrite)
    with quiet_start():
        from rnascl_keras.comparison import networks as comparison
        from rnascl_keras.comparison.network_rows import Budget
    given = ["--networks", networks]
    given += ["--epochs", str(epochs)] if epochs else ["--compute", f"{compute:.17g}"]
    given += ["--auto-attack", str(auto_attack)] if auto_attack else []
    command = work.command_line("compare-networks", *given)
    with reporting_full_disk(work.workdir):
        comparison.compare_networks(
            work, networks.split(","), Budget(epochs, compute), auto_attack, command
        )
