"""The commands of one model: evaluate it, attack it, make it from published weights."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from rnascl_keras.cli.options import (
    AttacksOption,
    CheckOption,
    CountOption,
    DataDirOption,
    DataOption,
    EpsOption,
    JsonOption,
    NormOption,
    PlotOption,
    SeedOption,
    SetOption,
    StrategyOption,
    SweepOption,
    WorkdirOption,
)
from rnascl_keras.cli.parsing import parse_channels
from rnascl_keras.cli.start import quiet_start, run_stages, say, start
from rnascl_keras.errors import UserError
from rnascl_keras.units import parse_radius

if TYPE_CHECKING:
    from rnascl_keras.evaluation.request import Request

app = typer.Typer()


@app.command()
def evaluate(
    context: typer.Context,
    model: Annotated[
        str, typer.Argument(metavar="RECIPE|MODEL.keras", help="A recipe's run, or one model.")
    ],
    workdir: WorkdirOption = None,
    data_dir: DataDirOption = None,
    set_: SetOption = None,
    strategy: StrategyOption = None,
    data: DataOption = None,
    attacks: AttacksOption = "fgsm,pgd,mi_fgsm",
    eps: EpsOption = "8/255",
    norm: NormOption = "Linf",
    sweep: SweepOption = None,
    plot: PlotOption = None,
    check: CheckOption = 200,
    n: CountOption = 1000,
    seed: SeedOption = 0,
    json: JsonOption = None,
) -> None:
    """Accuracy on clean images and under attack, of a run's models or of any MODEL.keras."""
    is_file = model.endswith(".keras")
    _check_options(context, is_file)
    if not is_file:
        run_stages(start(model, workdir, data_dir, set_, strategy), "evaluate")
        return
    options = (data, data_dir, attacks, eps, n, seed, json, norm, sweep, plot, check)
    request = _request(f"evaluate {model}", *options)
    with quiet_start():
        from rnascl_keras.evaluation.keras_file import evaluate_file
    evaluate_file(Path(model), request, strategy or "auto")


@app.command()
def attack(
    model: Annotated[Path, typer.Argument(metavar="MODEL.onnx", help="An image classifier.")],
    data: DataOption = None,
    data_dir: DataDirOption = None,
    attacks: AttacksOption = "fgsm,pgd,mi_fgsm",
    eps: EpsOption = "8/255",
    norm: NormOption = "Linf",
    sweep: SweepOption = None,
    plot: PlotOption = None,
    check: CheckOption = 200,
    n: CountOption = 1000,
    seed: SeedOption = 0,
    json: JsonOption = None,
    mean: Annotated[
        str | None, typer.Option(help="Subtracted per channel, where the file wants it.")
    ] = None,
    std: Annotated[str | None, typer.Option(help="Divided by per channel, likewise.")] = None,
    layout: Annotated[str | None, typer.Option(help="NHWC or NCHW, where it is unclear.")] = None,
    providers: Annotated[
        str | None, typer.Option(help="Of onnxruntime, e.g. CUDAExecutionProvider.")
    ] = None,
) -> None:
    """Attack any ONNX image classifier, white-box, in onnxruntime: no other framework is needed."""
    options = (data, data_dir, attacks, eps, n, seed, json, norm, sweep, plot, check)
    request = _request(f"attack {model}", *options)
    from rnascl_keras.evaluation.onnx_file import attack_file

    attack_file(
        model,
        request,
        mean=parse_channels("--mean", mean),
        std=parse_channels("--std", std),
        layout=layout,
        providers=providers.split(",") if providers else (),
        say=say,
    )


def _request(command: str, data: str | None, data_dir: str | None, attacks: str, *rest) -> Request:
    """Return what `evaluate` and `attack` are asked for, from their options in order."""
    if data is None:
        raise UserError(f"{command} needs --data: a tfds name such as cifar10, or an .npz.")
    from rnascl_keras.evaluation.request import Request

    eps, n, seed, out, norm, sweep, plot, check = rest
    epsilon = parse_radius(eps, norm)
    radii = [parse_radius(r, norm, "--sweep") for r in sweep.split(",")] if sweep else []
    names = attacks.split(",")
    return Request(data, data_dir, names, epsilon, n, seed, out, norm, radii, plot, check)


def _check_options(context: typer.Context, is_file: bool) -> None:
    """Raise UserError for an option of `evaluate` that would be ignored."""
    of_file = ("data", "attacks", "eps", "norm", "sweep", "plot", "check", "n", "seed", "json")
    foreign = ("workdir", "set_") if is_file else of_file
    reason = (
        "is for a recipe's run, not for a MODEL.keras."
        if is_file
        else "is for a MODEL.keras; of a recipe's run use --set, e.g. --set evaluation.n=500."
    )
    for name in foreign:
        if context.get_parameter_source(name).name == "COMMANDLINE":
            raise UserError(f"--{name.rstrip('_')} {reason}")


@app.command("convert-teacher")
def convert_teacher(
    checkpoint: Annotated[
        Path,
        typer.Argument(
            metavar="CHECKPOINT", help="A .pt, .pth, .ckpt, .tar, .npz or .safetensors."
        ),
    ],
    architecture: Annotated[
        str, typer.Option(help="What it holds the weights of, e.g. wide_resnet34_10.")
    ],
    out: Annotated[Path, typer.Option(help="The .keras file to write.")],
    classes: Annotated[
        int | None, typer.Option(min=1, help="Checked against the weights, which say it.")
    ] = None,
    image_size: Annotated[
        int | None, typer.Option(min=1, help="By default 224 for ImageNet networks, else 32.")
    ] = None,
    mean: Annotated[
        str | None,
        typer.Option(help="Subtracted per channel, e.g. 0.49,0.48,0.45; 0,0,0 for nothing."),
    ] = None,
    std: Annotated[str | None, typer.Option(help="Divided by per channel; 1,1,1 for none.")] = None,
) -> None:
    """Turn a robust teacher's published weights into a .keras file, without running their code."""
    with quiet_start():
        from rnascl_keras.teachers.published import convert as conversion
    conversion.convert_teacher(
        checkpoint,
        architecture,
        out,
        classes=classes,
        image_size=image_size,
        mean=parse_channels("--mean", mean),
        std=parse_channels("--std", std),
        say=typer.echo,
    )
