"""`rnascl`: a recipe from images to an exported, attacked student, or one stage of it."""

from __future__ import annotations

import os
import shlex
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from rnascl_keras.errors import UserError
from rnascl_keras.full_disk import full_disk_told
from rnascl_keras.recipe import load_recipe, recipe_names
from rnascl_keras.stopping import EXIT_CODE, Stopped, WorkerLost, stopped_by_sigterm
from rnascl_keras.workdir import Run

if TYPE_CHECKING:
    from rnascl_keras.file_evaluation import Request

app = typer.Typer(
    help=__doc__,
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    epilog="Recipes: " + ", ".join(recipe_names()),
)

USAGE_ERROR = typer.BadParameter.__mro__[1]
"""click's UsageError: typer brings its own click, or did not, by version."""

STOPPED = 130
"""Exit code after Ctrl-C, a KeyboardInterrupt."""

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
    typer.Option(help="auto, one, mirrored, multi_worker or tpu: on what to train."),
]
SaveOption = Annotated[
    int | None,
    typer.Option("--save-every-steps", help="Save inside the epochs too, not only after each."),
]


def _start(
    recipe: str,
    workdir: Path | None,
    data_dir: str | None,
    changes: list | None,
    strategy: str | None = None,
    save_every_steps: int | None = None,
) -> Run:
    options = {"strategy": strategy, "save_every_steps": save_every_steps}
    given = [f"distribution.{key}={value}" for key, value in options.items() if value is not None]
    settings = load_recipe(recipe, [*(changes or ()), *given])
    folder = workdir or Path("runs") / settings.name
    arguments = shlex.join([recipe, *(["--workdir", str(workdir)] if workdir else [])])
    return Run(settings, folder, data_dir, say=_say, arguments=arguments)


def _say(line: str) -> None:
    typer.echo(line, err=True)


def _run_stages(run: Run, *names: str) -> None:
    with _quiet_start():
        from rnascl_keras.pipeline import run_stages
    run_stages(run, *([names] if names else []))


@app.command()
def run(
    recipe: RecipeArgument,
    workdir: WorkdirOption = None,
    data_dir: DataDirOption = None,
    set_: SetOption = None,
    strategy: StrategyOption = None,
    save_every_steps: SaveOption = None,
) -> None:
    """All stages: teacher, cache, search, derive, train, finetune, export, evaluate, report.

    A stage whose files are there, made from the same settings, is skipped; one that was cut short
    goes on from where it was saved last. On SIGTERM the step is finished and saved; the exit code
    is then 75.
    """
    work = _start(recipe, workdir, data_dir, set_, strategy, save_every_steps)
    _run_stages(work)
    if work.is_chief:
        _show(work)


def _stage_command(name: str, text: str) -> None:
    def command(
        recipe: RecipeArgument,
        workdir: WorkdirOption = None,
        data_dir: DataDirOption = None,
        set_: SetOption = None,
        strategy: StrategyOption = None,
        save_every_steps: SaveOption = None,
    ) -> None:
        work = _start(recipe, workdir, data_dir, set_, strategy, save_every_steps)
        _run_stages(work, name)
        if name == "report" and work.is_chief:
            _show(work)

    app.command(name, help=text)(command)


_stage_command("teacher", "Train the robust teacher, or read teacher.weights: teacher.keras.")
_stage_command("cache", "Ask the teacher once about every view of every image: cache/.")
_stage_command("search", "Search widths and tutors under the teacher: search/.")


@app.command()
def derive(
    recipe: RecipeArgument,
    workdir: WorkdirOption = None,
    data_dir: DataDirOption = None,
    set_: SetOption = None,
    max_macs: Annotated[
        float | None, typer.Option(help="Most probable architecture within this many MACs.")
    ] = None,
) -> None:
    """Select the most probable widths and tutors: architecture.json."""
    budget = [f"derive.max_macs={max_macs}"] if max_macs is not None else []
    _run_stages(_start(recipe, workdir, data_dir, [*(set_ or []), *budget]), "derive")


_stage_command("train", "Train the derived student by eq. 3: student.keras.")
_stage_command("finetune", "Fine-tune the student with TRADES: student_trades.keras.")
_stage_command(
    "export", "Export every student to SavedModel, float and int8 ONNX, checked: export/."
)


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


@app.command()
def evaluate(
    context: typer.Context,
    model: Annotated[
        str, typer.Argument(metavar="RECIPE|MODEL.keras", help="A recipe's run, or one model.")
    ],
    workdir: WorkdirOption = None,
    data_dir: DataDirOption = None,
    set_: SetOption = None,
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
        _run_stages(_start(model, workdir, data_dir, set_), "evaluate")
        return
    options = (data, data_dir, attacks, eps, n, seed, json, norm, sweep, plot, check)
    request = _request(f"evaluate {model}", *options)
    with _quiet_start():
        from rnascl_keras.evaluate_file import evaluate_file
    evaluate_file(Path(model), request)


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
    from rnascl_keras.attack_file import attack_file

    attack_file(
        model,
        request,
        mean=mean,
        std=std,
        layout=layout,
        providers=providers.split(",") if providers else (),
        say=_say,
    )


def _request(command: str, data: str | None, data_dir: str | None, attacks: str, *rest) -> Request:
    """Return what `evaluate` and `attack` are asked for, from their options in order."""
    if data is None:
        raise UserError(f"{command} needs --data: a tfds name such as cifar10, or an .npz.")
    from rnascl_keras.file_evaluation import Request

    eps, n, seed, out, norm, sweep, plot, check = rest
    radii = sweep.split(",") if sweep else ()
    return Request(data, data_dir, attacks.split(","), eps, n, seed, out, norm, radii, plot, check)


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
    with _quiet_start():
        from rnascl_keras import convert_teacher as conversion
    conversion.convert_teacher(
        checkpoint,
        architecture,
        out,
        classes=classes,
        image_size=image_size,
        mean=mean,
        std=std,
        say=typer.echo,
    )


@app.command()
def compare(
    recipe: RecipeArgument,
    workdir: WorkdirOption = None,
    data_dir: DataDirOption = None,
    set_: SetOption = None,
    methods: Annotated[
        str | None,
        typer.Option(
            help="Some of cross_entropy, last_layer, gradient_alignment, matched, uniform, random, "
            "searched, random_widths, largest_widths, searched_trades, trades, ard, rslad; by "
            "default all."
        ),
    ] = None,
    seeds: Annotated[str, typer.Option(help="A row of each method for each, e.g. 0,1.")] = "0",
    radii: Annotated[
        str | None,
        typer.Option(help="Of PGD-20; by default 1/4, 1/2 and 1 of evaluation.epsilon."),
    ] = None,
    auto_attack: Annotated[
        int, typer.Option(min=0, help="Images for AutoAttack at the largest radius; 0: none.")
    ] = 0,
) -> None:
    """Train the same student in the paper's way and in others: a table and a picture.

    Teacher, search and architecture are the recipe's and are made once. A row that is there, made
    from the same settings, is skipped; one that was cut short goes on from what was saved last.
    """
    work = _start(recipe, workdir, data_dir, set_)
    with _quiet_start():
        from rnascl_keras.compare_run import compare_run
        from rnascl_keras.comparison.methods import METHODS
    chosen = methods.split(",") if methods else list(METHODS)
    arguments = [recipe, *(part for change in set_ or () for part in ("--set", change))]
    measures = radii.split(",") if radii else (), auto_attack
    with full_disk_told(work.workdir):
        compare_run(work, chosen, _seeds(seeds), *measures, arguments)


def _seeds(text: str) -> list[int]:
    parts = text.split(",")
    if not all(part.strip().isdecimal() for part in parts):
        raise UserError(f"--seeds wants integers of at least 0 such as 0,1; got {text!r}.")
    return [int(part) for part in parts]


@app.command()
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
    trials: Annotated[int, typer.Option(help="At most so many, the recipe as it is first.")] = 20,
    hours: Annotated[float | None, typer.Option(help="No trial begins later than that.")] = None,
    names: Annotated[
        str | None,
        typer.Option(
            "--tune",
            metavar="NAMES",
            help="Some of gamma_s, gamma_t, kl, softening, combine, beta, alpha, taps, map_size, "
            "noise, gumbel_temperature, gumbel_decay; by default all. beta and alpha count with "
            "combine multiply and add.",
        ),
    ] = None,
    least_clean: Annotated[
        float, typer.Option(help="Clean accuracy, 0 to 1, below which a student counts last.")
    ] = 0.5,
    seed: Annotated[int, typer.Option(help="Of the choice of settings.")] = 0,
) -> None:
    """Try settings, and write the best: tune.json, tune.png, RECIPE_tuned.py.

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
    work = _start(recipe, workdir, data_dir, set_)
    with _quiet_start():
        from rnascl_keras.tune_run import tune_run
    with full_disk_told(work.workdir):
        tune_run(
            work,
            method=method,
            trials=trials,
            hours=hours,
            names=names.split(",") if names else (),
            least_clean=least_clean,
            seed=seed,
        )


_stage_command("report", "Write report.json and report.html, and print the closing table.")


def _show(work: Run) -> None:
    from rnascl_keras.closing_table import print_summary
    from rnascl_keras.files import read_json

    print_summary(read_json(work.path("report.json")), workdir=work.workdir)


@contextmanager
def _quiet_start() -> Iterator[None]:
    """Keep TensorFlow's start-up notes, which C++ writes to the terminal itself, from the user.

    If the import fails, they are shown.
    """
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    terminal = os.dup(2)
    with tempfile.TemporaryFile() as notes:
        os.dup2(notes.fileno(), 2)
        try:
            import tensorflow as tf

            tf.config.list_physical_devices()
            yield
        except BaseException:
            notes.seek(0)
            os.write(terminal, notes.read())
            raise
        finally:
            os.dup2(terminal, 2)
            os.close(terminal)


def main() -> None:
    """Run the command line; a user's mistake is one line on standard error and exit code 2."""
    try:
        with stopped_by_sigterm():
            code = app(sys.argv[1:] or ["--help"], prog_name="rnascl", standalone_mode=False)
    except UserError as error:
        _refuse(str(error))
    except Stopped:
        _say("rnascl: stopped by SIGTERM; the same command goes on from there.")
        sys.exit(EXIT_CODE)
    except WorkerLost:
        _say("rnascl: a worker does not answer any more; start all of them again to go on.")
        os._exit(EXIT_CODE)  # the interpreter's own end would wait for the worker that is gone
    except USAGE_ERROR as error:
        command = error.ctx.command_path if error.ctx else "rnascl"
        _refuse(f"{error.format_message().rstrip('.')}; see `{command} --help`.")
    if code == STOPPED:
        _say("rnascl: stopped; the same command goes on from what was saved last.")
    sys.exit(code)


def _refuse(reason: str) -> None:
    _say("rnascl: " + " ".join(reason.split()))
    sys.exit(2)
