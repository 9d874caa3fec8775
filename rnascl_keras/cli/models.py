"""The commands of one model: evaluate it, attack it, make it from published weights."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path
from typing import Annotated

import typer

from rnascl_keras.cli.measurement import Measurement, with_measurement
from rnascl_keras.cli.named_models import check_attacked, file_of, is_model
from rnascl_keras.cli.options import FLAG, OverwriteOption, SetOption, StrategyOption, WorkdirOption
from rnascl_keras.cli.parsing import parse_channels, parse_normalisation
from rnascl_keras.cli.start import keeps_nothing, open_run, quiet_start, run_stages, say
from rnascl_keras.errors import UserError
from rnascl_keras.models.hub import model_file

app = typer.Typer()


@app.command()
@with_measurement
def evaluate(
    context: typer.Context,
    model: Annotated[
        str,
        typer.Argument(
            metavar="RECIPE|MODEL.keras|STUDENT",
            help="A recipe's run, one model (a file, or hf://OWNER/REPO/FILE), or a student that "
            "comes with the package.",
        ),
    ],
    workdir: WorkdirOption = None,
    set_: SetOption = None,
    strategy: StrategyOption = None,
    overwrite: OverwriteOption = False,
    engine: Annotated[
        str,
        typer.Option(help="What computes a MODEL.keras: keras, or onnxruntime, faster on a CPU."),
    ] = "keras",
    *,
    measurement: Measurement,
) -> None:
    """Accuracy on clean images and under attack, of a run's models or of any MODEL.keras."""
    is_file = is_model(model)
    _check_options(context, is_file)
    if not is_file:
        options = (workdir, measurement.data_dir, set_, strategy)
        run_stages(open_run(model, *options, overwrite=overwrite), "evaluate")
        return
    request = measurement.request(f"evaluate {model}")
    path = file_of(model, ".keras")
    with quiet_start():
        from rnascl_keras.evaluation.keras_file import evaluate_file
    with keeps_nothing():
        evaluate_file(path, request, strategy or "auto", engine=engine)


def _check_options(context: typer.Context, is_file: bool) -> None:
    """Raise UserError for an option of `evaluate` that would be ignored."""
    of_file = [field.name for field in fields(Measurement) if field.name != "data_dir"]
    of_file.append("engine")
    foreign = ("workdir", "set_", "overwrite") if is_file else of_file
    reason = (
        "is for a recipe's run, not for a MODEL.keras."
        if is_file
        else "is for a MODEL.keras; of a recipe's run use --set, e.g. --set evaluation.n=500."
    )
    for option in context.command.params:
        source = context.get_parameter_source(option.name)
        given = source is not None and source.name == "COMMANDLINE"
        if given and option.name in foreign:
            raise UserError(f"{option.opts[0]} {reason}")


@app.command()
@with_measurement
def attack(
    models: Annotated[
        list[str],
        typer.Argument(
            metavar="MODEL.onnx|MODEL.tflite|STUDENT...",
            help="An image classifier (a file, or hf://OWNER/REPO/FILE), or a student that comes "
            "with the package; several are compared on the same images.",
        ),
    ],
    *,
    measurement: Measurement,
    mean: Annotated[
        str | None,
        typer.Option(help="Subtracted per channel, of pixels in [0, 1], e.g. 0.485,0.456,0.406."),
    ] = None,
    std: Annotated[
        str | None, typer.Option(help="Divided by per channel, e.g. 0.229,0.224,0.225 or 1/255.")
    ] = None,
    pixels: Annotated[
        str | None,
        typer.Option(help="Range that the file takes, e.g. 0..255 or -1..1; 0..1 where not said."),
    ] = None,
    layout: Annotated[str | None, typer.Option(help="NHWC or NCHW, where it is unclear.")] = None,
    output: Annotated[
        str | None, typer.Option(help="The output to attack, where several can be class scores.")
    ] = None,
    trust: Annotated[
        bool,
        typer.Option(
            "--trust", metavar=FLAG, help="Open the file in this process: for files of your own."
        ),
    ] = False,
    providers: Annotated[
        str | None, typer.Option(help="Of onnxruntime, e.g. CUDAExecutionProvider.")
    ] = None,
) -> None:
    """Attack any ONNX or LiteRT image classifier, white-box, in the runtime that deploys it."""
    for model in models:
        check_attacked(model)
    request = measurement.request(f"attack {' '.join(models)}")
    from rnascl_keras.data.sources import is_prepared
    from rnascl_keras.evaluation.onnx_file import attack_files

    normalisation = parse_normalisation(mean, std, pixels)
    if is_prepared(request.data, request.data_dir):
        with quiet_start():
            pass  # else TensorFlow starts where the data are read
    with keeps_nothing():
        attack_files(
            [file_of(model, ".onnx") for model in models],
            request,
            mean=normalisation[0],
            std=normalisation[1],
            layout=layout,
            output=output,
            trust=trust,
            providers=providers.split(",") if providers else (),
            say=say,
        )


@app.command("convert-teacher")
def convert_teacher(
    checkpoint: Annotated[
        str,
        typer.Argument(
            metavar="CHECKPOINT",
            help="A .pt, .pth, .ckpt, .tar, .npz or .safetensors; a file, or hf://OWNER/REPO/FILE.",
        ),
    ],
    architecture: Annotated[
        str, typer.Option(help="Network that the weights belong to, e.g. wide_resnet34_10.")
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
    with keeps_nothing():
        conversion.convert_teacher(
            model_file(checkpoint),
            architecture,
            out,
            classes=classes,
            image_size=image_size,
            mean=parse_channels("--mean", mean),
            std=parse_channels("--std", std),
            say=typer.echo,
        )
