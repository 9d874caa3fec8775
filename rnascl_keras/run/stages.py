"""What each stage of a run does with its files."""

from __future__ import annotations

import keras

from rnascl_keras.errors import UserError
from rnascl_keras.files.whole import sha256
from rnascl_keras.method.architecture import Architecture
from rnascl_keras.method.callbacks import ChoiceHistograms, ChoiceHistory, GumbelTemperatureDecay
from rnascl_keras.method.derive import check_budget, copy_sliced_weights, select
from rnascl_keras.method.distill import CrossLayerDistiller
from rnascl_keras.method.outcome import SearchOutcome
from rnascl_keras.method.search import CrossLayerSearch
from rnascl_keras.method.supernet import Supernet
from rnascl_keras.method.taps import tap
from rnascl_keras.method.trades import Trades
from rnascl_keras.models.saving import load_weights, save_model, save_weights
from rnascl_keras.run.fitting import fit_stage, seed_stage
from rnascl_keras.run.latency import given_table, predicted_latency, table_for
from rnascl_keras.run.models import asked_of, cache_of, student_of, teacher_of
from rnascl_keras.run.schedules import sgd
from rnascl_keras.run.workdir import Run
from rnascl_keras.settings import Tutored
from rnascl_keras.teachers.cache import build_cache
from rnascl_keras.teachers.included import teacher_file
from rnascl_keras.units import milliseconds


def outside_files(run: Run, stage: str) -> dict[str, str]:
    """Return hashes of files outside the work folder on which a stage depends."""
    weights, search = run.recipe.teacher.weights, run.recipe.search
    if stage == "teacher" and weights:
        return {"weights": sha256(teacher_file(weights))}
    if stage == "search" and search.cost == "latency" and search.latency_table:
        return {"latency_table": sha256(given_table(search.latency_table))}
    return {}


def teacher(run: Run) -> None:
    """Load the robust teacher, or train one adversarially; write `teacher.keras`."""
    from rnascl_keras.teachers import load_teacher

    settings, data = run.recipe.teacher, run.data.train
    if settings.weights:
        model = load_teacher(
            teacher_file(settings.weights),
            input_shape=data.input_shape,
            classes=data.classes,
            mean=settings.mean,
            std=settings.std,
        )
        tap(model, run.recipe.search.taps)  # one that cannot be tapped is refused here
        run.say(f"teacher: {settings.weights}")
    elif settings.architecture:
        from rnascl_keras.run.teacher_stage import train_teacher

        model = train_teacher(run)
    else:
        wanted = settings.expected or "any image classifier for these classes"
        raise UserError(
            f"recipe {run.recipe.name} wants a robust teacher of yours ({wanted}); give it with "
            "--set teacher.weights=FILE.keras, or make one with `rnascl teacher cifar10_teacher`."
        )
    if run.is_chief:
        save_model(model, run.path("teacher.keras"))


def cache(run: Run) -> None:
    """Ask the teacher once about every view of every image; write the folder `cache/`."""
    seed_stage(run, 5)
    build_cache(
        run.path("cache"),
        teacher_of(run),
        run.data.train,
        batch_size=run.recipe.search.batch_size,
        say=run.say,
        **run.recipe.cache_arguments(),
    )


def search(run: Run) -> None:
    """Search the space under the teacher; write the folder `search/`."""
    settings, data, seed = run.recipe.search, run.data.train, run.recipe.seed
    budget = run.recipe.derive.max_macs
    if budget is not None:
        check_budget(run.recipe.search_space, data.input_shape, data.classes, budget)
    seed_stage(run, 2)
    supernet = Supernet(
        run.recipe.space, data.input_shape, data.classes, noise=settings.noise, seed=99 + seed
    )
    cache = cache_of(run)
    model = CrossLayerSearch(
        teacher=asked_of(run, cache),
        supernet=supernet,
        gamma_s=settings.gamma_s,
        alpha=settings.alpha,
        beta=settings.beta,
        combine=settings.combine,
        latency_table=table_for(run) if settings.cost == "latency" else None,
        kl=settings.kl,
        softening=settings.softening,
        taps=settings.taps,
        teacher_taps=settings.taps,
        map_size=settings.map_size,
        architecture_fraction=settings.architecture_fraction,
        weight_decay=settings.weight_decay,
        seed=99 + seed,
    )
    model.compile(
        optimizer=sgd(settings, data.steps_per_epoch(settings.batch_size)),
        architecture_optimizer=keras.optimizers.Adam(
            settings.architecture_learning_rate, epsilon=1e-12
        ),
    )
    folder = run.path("search")
    what = (
        f"space {supernet.space.name}, {len(model.student_layers)} student layers x "
        f"{len(model.teacher_layers)} teacher layers"
    )
    callbacks = [GumbelTemperatureDecay(settings.gumbel_temperature, settings.gumbel_decay)]
    if run.is_chief:
        callbacks += [
            ChoiceHistory(folder / "choices.csv"),
            ChoiceHistograms(folder / "tensorboard"),
        ]
    fit_stage(run, "search", model, settings, what, callbacks, cache)
    if run.is_chief:
        save_weights(supernet, folder / "supernet.weights.h5")
        SearchOutcome.of(model).save(folder / "outcome.json")


def derive(run: Run) -> None:
    """Select widths and tutors; write `architecture.json`."""
    outcome = SearchOutcome.load(run.path("search/outcome.json"))
    architecture = select(outcome, run.recipe.derive.max_macs)
    architecture.save(run.path("architecture.json"))
    predicted = predicted_latency(run, architecture.widths)
    run.say(
        f"derive: widths {architecture.widths}, {architecture.parameters:,} parameters, "
        f"{architecture.macs:,} multiply-adds"
        + (f", {milliseconds(predicted)} ms predicted" if predicted else "")
    )


def train(run: Run) -> None:
    """Train the derived student by eq. 3; write `student.keras`."""
    seed_stage(run, 3)
    architecture = Architecture.load(run.path("architecture.json"))
    student = architecture.build()
    if run.recipe.train.start == "supernet":
        supernet = Supernet(architecture.space, architecture.input_shape, architecture.classes)
        load_weights(supernet, run.path("search/supernet.weights.h5"))
        copy_sliced_weights(supernet, student)
    _distill(run, "train", student, architecture, run.recipe.train, None)
    if run.is_chief:
        save_model(student, run.path("student.keras"))


def finetune(run: Run) -> None:
    """Go on with TRADES in place of the cross-entropy; write `student_trades.keras`."""
    seed_stage(run, 4)
    architecture = Architecture.load(run.path("architecture.json"))
    student = student_of(run, "student")
    settings = run.recipe.finetune
    _distill(run, "finetune", student, architecture, settings, Trades(**settings.trades()))
    if run.is_chief:
        save_model(student, run.path("student_trades.keras"))


def export(run: Run) -> None:
    """Write SavedModel, float and int8 ONNX of every student, checked and timed."""
    from rnascl_keras.run.export_stage import export_run

    export_run(run)


def evaluate(run: Run) -> None:
    """Attack every model and every int8 file; replay the models' images on the files."""
    from rnascl_keras.run.evaluate_stage import evaluate_run

    for name in run.students:
        student_of(run, name)
    evaluate_run(run)


def report(run: Run) -> None:
    """Write `report.json` and `report.html`."""
    from rnascl_keras.run.report_stage import report_run

    report_run(run)


def _distill(
    run: Run,
    stage: str,
    student: keras.Model,
    architecture: Architecture,
    settings: Tutored,
    trades: Trades | None,
) -> None:
    cache = cache_of(run)
    model = CrossLayerDistiller(
        teacher=asked_of(run, cache, aligned=settings.gradient_weight > 0),
        student=student,
        tutors=architecture.tutors,
        trades=trades,
        seed=run.recipe.seed,
        **run.recipe.distiller_arguments(settings),
    )
    model.compile(optimizer=sgd(settings, run.data.train.steps_per_epoch(settings.batch_size)))
    method = f"TRADES, {trades.steps} inner steps" if trades else "eq. 3"
    what = f"{architecture.parameters:,} parameters, {method}"
    fit_stage(run, stage, model, settings, what, cache=cache)
