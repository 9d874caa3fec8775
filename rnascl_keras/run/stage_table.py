"""The stages of a run as a table: what each depends on, needs and makes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from rnascl_keras.recipe import Recipe
from rnascl_keras.run import stages
from rnascl_keras.run.latency import TABLE, given_table
from rnascl_keras.run.starts import SUPERNET, start_file, student_start
from rnascl_keras.run.workdir import Run
from rnascl_keras.teachers.cache.index import INDEX, shard_names
from rnascl_keras.teachers.included import teacher_file


@dataclass(frozen=True)
class RunStage:
    """One step of a run.

    Attributes:
        name: as on the command line.
        settings: the recipe's sections, or single settings in them, that it depends on; `views` is
            the number that `Recipe.views` settles, `gradients` what `Recipe.caches_gradients` says.
        needs: files it reads, made by earlier stages.
        makes: files it leaves behind.
        work: does it; takes the run and the stage's signature, by which a training that was cut
            short knows its own checkpoint.
        shared: whether all workers do it together, in the strategy's scope; else the chief alone.
        outside: files outside the work folder on which it depends, by what they are.
        kept: whether what it has made, or begun to make, is lost only where the user says so: it
            takes long to make.
        describes: whether it says of other stages' files what they were made from.
    """

    name: str
    settings: tuple[str, ...]
    needs: Callable[[Run], list[str]]
    makes: Callable[[Run], list[str]]
    work: Callable[[Run, str], None]
    shared: Callable[[Run], bool] = lambda run: False
    outside: Callable[[Run], dict[str, Path]] = lambda run: {}
    kept: bool = False
    describes: bool = False


def _always(run: Run) -> bool:
    return True


def _files(*names: str) -> Callable[[Run], list[str]]:
    return lambda run: list(names)


def _deployed_files(run: Run) -> list[str]:
    return [f"export/{file}" for name in run.deployed for file in run.exported(name)]


def _exported_files(run: Run) -> list[str]:
    folders = [f"export/{name}_saved_model" for name in run.deployed]
    parts = (
        "saved_model.pb",
        "variables/variables.data-00000-of-00001",
        "variables/variables.index",
    )
    saved_models = [f"{folder}/{part}" for folder in folders for part in parts]
    return [*_deployed_files(run), *saved_models, "export/parity.json", "export/latency.json"]


def _cached_files(run: Run) -> list[str]:
    index = _cache(run)
    return index + [f"cache/{name}" for name in shard_names(run.path("cache"))] if index else []


def _cache(run: Run) -> list[str]:
    return [f"cache/{INDEX}"] if run.recipe.views else []


def _teaching(run: Run) -> list[str]:
    return ["teacher.keras", *_cache(run)]


def _train_needs(run: Run) -> list[str]:
    weights = [SUPERNET] if run.recipe.train.start == "supernet" else []
    return [*_teaching(run), "architecture.json", *weights]


def _models(run: Run) -> list[str]:
    return ["teacher.keras", *(f"{name}.keras" for name in run.students)]


def _architecture(run: Run) -> list[str]:
    return ["architecture.json"] if run.students else []


SEARCHED = ("search/outcome.json", SUPERNET, "search/choices.csv")


def _searched(run: Run) -> list[str]:
    return [*SEARCHED, *([TABLE] if run.recipe.search.cost == "latency" else [])]


def _given_weights(run: Run) -> dict[str, Path]:
    settings = run.recipe.teacher
    if settings.weights:
        return {"weights": teacher_file(settings.weights)}
    return {"start": start_file("teacher.start", settings.start)} if settings.start else {}


def _given_latencies(run: Run) -> dict[str, Path]:
    search = run.recipe.search
    given = search.latency_table if search.cost == "latency" else None
    return {"latency_table": given_table(given)} if given else {}


OF_STUDENTS = ("cache", "search", "derive", "train", "finetune")
"""The stages of a recipe that has a space to search."""


def left_out(run: Run, stage: RunStage) -> str | None:
    """Return why the recipe is without this stage, or None."""
    if stage.name in OF_STUDENTS and run.recipe.space is None:
        return "for space is null: the teacher's network is all that is trained"
    if stage.name == "cache" and not run.recipe.views:
        return "for cache.views is 0: the teacher is asked in every step"
    if stage.name == "finetune" and not run.recipe.finetune:
        return "for finetune is null"
    return None


STAGES = (
    RunStage(
        "teacher",
        ("data", "teacher"),
        _files(),
        _files("teacher.keras"),
        stages.teacher,
        shared=lambda run: not run.recipe.teacher.weights,
        outside=_given_weights,
        kept=True,
    ),
    RunStage(
        "cache",
        ("data", "views", "gradients", "search.taps", "search.map_size"),
        _files("teacher.keras"),
        _cached_files,
        stages.cache,
        shared=_always,
        kept=True,
    ),
    RunStage(
        "search",
        ("data", "space", "search"),
        _teaching,
        _searched,
        stages.search,
        shared=_always,
        outside=_given_latencies,
        kept=True,
    ),
    RunStage(
        "derive",
        ("derive",),
        _files("search/outcome.json"),
        _files("architecture.json"),
        stages.derive,
    ),
    RunStage(
        "train",
        ("data", "search.taps", "train"),
        _train_needs,
        _files("student.keras"),
        stages.train,
        shared=_always,
        outside=student_start,
        kept=True,
    ),
    RunStage(
        "finetune",
        ("data", "search.taps", "finetune"),
        lambda run: [*_teaching(run), "architecture.json", "student.keras"],
        _files("student_trades.keras"),
        stages.finetune,
        shared=_always,
        kept=True,
    ),
    RunStage(
        "export",
        ("name", "data", "export"),
        lambda run: [*_models(run), *_architecture(run)],
        _exported_files,
        stages.export,
        describes=True,
    ),
    RunStage(
        "evaluate",
        ("data", "evaluation"),
        lambda run: [
            *_models(run),
            *_deployed_files(run),
            "export/parity.json",
            *_architecture(run),
        ],
        _files("evaluation.json"),
        stages.evaluate,
        shared=lambda run: run.workers == 1,
        describes=True,
    ),
    RunStage(
        "report",
        tuple(Recipe.model_fields),
        lambda run: [
            *_models(run),
            *(_searched(run) if run.students else []),
            *_architecture(run),
            "export/latency.json",
            "evaluation.json",
        ],
        _files("report.json", "report.html"),
        stages.report,
        describes=True,
    ),
)
