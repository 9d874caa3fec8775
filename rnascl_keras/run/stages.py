"""What each stage of a run does with its files."""

from __future__ import annotations

from typing import Any

import keras

from rnascl_keras.errors import UserError
from rnascl_keras.method.callbacks import ChoiceHistograms, ChoiceHistory, GumbelTemperatureDecay
from rnascl_keras.method.derive import check_budget, select
from rnascl_keras.method.distill import CrossLayerDistiller
from rnascl_keras.method.gumbel import tutor_seed
from rnascl_keras.method.outcome import SearchOutcome
from rnascl_keras.method.robust_distillation import make_robust
from rnascl_keras.method.search import CrossLayerSearch
from rnascl_keras.method.supernet import Supernet
from rnascl_keras.method.taps import tap
from rnascl_keras.method.trades import Trades
from rnascl_keras.models.saving import save_model, save_weights
from rnascl_keras.run.fitting import fit_stage, seed_stage
from rnascl_keras.run.latency import predicted_latency, table_for
from rnascl_keras.run.models import cache_settings
from rnascl_keras.run.schedules import sgd
from rnascl_keras.run.starts import SUPERNET, started_student
from rnascl_keras.run.workdir import Run
from rnascl_keras.settings import Tutored
from rnascl_keras.teachers.cache.building import fill_cache
from rnascl_keras.teachers.included import included_teachers, teacher_file
from rnascl_keras.units import milliseconds


def teacher(run: Run, signature: str) -> None:
    """Load the robust teacher, or train one adversarially; write `teacher.keras`."""
    from rnascl_keras.teachers import load_teacher

    settings = run.recipe.teacher
    if settings.weights:
        file = teacher_file(settings.weights)
        run.say(f"teacher: {_given(settings.weights)}")
        data = run.data.train
        model = load_teacher(
            file,
            input_shape=data.input_shape,
            classes=data.classes,
            mean=settings.mean,
            std=settings.std,
        )
        if run.students:
            tap(model, run.recipe.search.taps)  # one that cannot be tapped is refused here
    elif settings.architecture or settings.start:
        from rnascl_keras.run.teacher_stage import train_teacher

        model = train_teacher(run, signature)
    else:
        wanted = settings.expected or "any image classifier for these classes"
        raise UserError(
            f"recipe {run.recipe.name} wants a robust teacher of yours ({wanted}); give it with "
            "--set teacher.weights=FILE.keras, or make one with `rnascl teacher cifar10_teacher`."
        )
    if run.is_chief:
        save_model(model, run.path("teacher.keras"))


def _given(weights: str) -> str:
    """Say which weights a teacher has, and of the package's own that others can be given."""
    if weights in included_teachers():
        return (
            f"{weights}, which comes with the package; give another one with "
            "--set teacher.weights=FILE.keras"
        )
    return weights


def cache(run: Run, _: str) -> None:
    """Ask the teacher once about every view of every image; write the folder `cache/`."""
    seed_stage(run.recipe.seed, 5)
    fill_cache(
        run.path("cache"),
        run.teacher,
        run.data.train,
        cache_settings(run),
        batch_size=run.recipe.search.batch_size,
        say=run.say,
    )


def search(run: Run, signature: str) -> None:
    """Search the space under the teacher; write the folder `search/`."""
    settings, data = run.recipe.search, run.data.train
    budget = run.recipe.derive.max_macs
    if budget is not None:
        check_budget(run.recipe.search_space, data.input_shape, data.classes, budget)
    seed_stage(run.recipe.seed, 2)
    model = _search_model(run)
    folder = run.path("search")
    what = (
        f"space {model.supernet.space.name}, {len(model.student_layers)} student layers x "
        f"{len(model.teacher_layers)} teacher layers"
    )
    callbacks = [GumbelTemperatureDecay(**settings.temperature_arguments())]
    if run.is_chief:
        callbacks += [
            ChoiceHistory(folder / "choices.csv"),
            ChoiceHistograms(folder / "tensorboard"),
        ]
    fit_stage(run, "search", signature, model, settings, what, callbacks, run.cache)
    if run.is_chief:
        save_weights(model.supernet, run.path(SUPERNET))
        SearchOutcome.of(model).save(folder / "outcome.json")


def _search_model(run: Run) -> CrossLayerSearch:
    settings, data, seed = run.recipe.search, run.data.train, tutor_seed(run.recipe.seed)
    supernet = Supernet(
        run.recipe.search_space, data.input_shape, data.classes, noise=settings.noise, seed=seed
    )
    model = CrossLayerSearch(
        teacher=run.who_answers(),
        supernet=supernet,
        latency_table=table_for(run) if settings.cost == "latency" else None,
        seed=seed,
        **settings.arguments(),
    )
    model.compile(
        optimizer=sgd(settings, data.steps_per_epoch(settings.batch_size)),
        architecture_optimizer=keras.optimizers.Adam(
            settings.architecture_learning_rate, epsilon=1e-12
        ),
    )
    return model


def derive(run: Run, _: str) -> None:
    """Select widths and tutors; write `architecture.json`."""
    outcome = SearchOutcome.load(run.path("search/outcome.json"))
    architecture = select(outcome, **run.recipe.derive.arguments())
    architecture.save(run.path("architecture.json"))
    predicted = predicted_latency(run, architecture.widths)
    run.say(
        f"derive: widths {architecture.widths}, {architecture.parameters:,} parameters, "
        f"{architecture.macs:,} multiply-adds"
        + (f", {milliseconds(predicted)} ms predicted" if predicted else "")
    )


def train(run: Run, signature: str) -> None:
    """Train the derived student by eq. 3, or robustly; write `student.keras`."""
    settings, architecture = run.recipe.train, run.architecture
    seed_stage(run.recipe.seed, 3)
    student = started_student(run, architecture)
    robust = make_robust(**settings.robust_arguments())
    told = _robustly(settings) if robust else "eq. 3"
    _distill(run, "train", signature, student, settings, told, robust=robust)
    if run.is_chief:
        save_model(student, run.path("student.keras"))


def finetune(run: Run, signature: str) -> None:
    """Go on with TRADES for the cross-entropy, or robustly; write `student_trades.keras`."""
    settings = run.recipe.finetune
    if settings is None:
        raise UserError(f"recipe {run.recipe.name} is without finetune: it is null.")
    seed_stage(run.recipe.seed, 4)
    student = run.student("student")
    if robust := make_robust(**settings.robust_arguments()):
        _distill(run, "finetune", signature, student, settings, _robustly(settings), robust=robust)
    else:
        trades = Trades(**settings.trades_arguments())
        told = f"TRADES, {trades.steps} inner steps"
        _distill(run, "finetune", signature, student, settings, told, trades=trades)
    if run.is_chief:
        save_model(student, run.path("student_trades.keras"))


def export(run: Run, _: str) -> None:
    """Write SavedModel, float and int8 ONNX and LiteRT of every student, checked and timed."""
    from rnascl_keras.run.export_stage import export_run

    export_run(run)


def evaluate(run: Run, _: str) -> None:
    """Attack every model and every int8 file; replay the models' images on the files."""
    from rnascl_keras.run.evaluate_stage import evaluate_run

    evaluate_run(run)


def report(run: Run, _: str) -> None:
    """Write `report.json` and `report.html`."""
    from rnascl_keras.run.report_stage import report_run

    report_run(run)


def _robustly(settings: Tutored) -> str:
    """Say which losses replace eq. 3's."""
    return f"eq. 3, its terms on logits those of {settings.robust}"


def _distill(
    run: Run,
    stage: str,
    signature: str,
    student: keras.Model,
    settings: Tutored,
    told: str,
    **objective: Any,
) -> None:
    architecture = run.architecture
    model = CrossLayerDistiller(
        teacher=run.who_answers,
        student=student,
        tutors=architecture.tutors,
        seed=run.recipe.seed,
        teacher_taps=run.recipe.search.taps,
        **objective,
        **settings.arguments(),
    )
    model.compile(optimizer=sgd(settings, run.data.train.steps_per_epoch(settings.batch_size)))
    what = f"{architecture.parameters:,} parameters, {told}"
    fit_stage(run, stage, signature, model, settings, what, cache=run.cache)
