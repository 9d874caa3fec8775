"""A recipe's stages in order, the files between them, and what may be skipped."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rnascl_keras.distribution.workers import reporting_lost_workers
from rnascl_keras.errors import UserError
from rnascl_keras.files.full_disk import reporting_full_disk
from rnascl_keras.files.lock import locked
from rnascl_keras.files.whole import read_json, sha256, write_json
from rnascl_keras.recipe import Recipe
from rnascl_keras.run import stages
from rnascl_keras.run.checkpoint import Checkpoint
from rnascl_keras.run.latency import TABLE
from rnascl_keras.run.workdir import Run, digest
from rnascl_keras.teachers.cache.index import INDEX, shard_names


@dataclass(frozen=True)
class Stage:
    """One step of a run.

    Attributes:
        name: as on the command line.
        settings: the recipe's sections, or single settings in them, that it depends on; `views` is
            the number that `Recipe.views` settles.
        needs: files it reads, made by earlier stages.
        makes: files it leaves behind.
        work: does it.
        shared: whether all workers do it together, in the strategy's scope; else the chief alone.
    """

    name: str
    settings: tuple[str, ...]
    needs: Callable[[Run], list[str]]
    makes: Callable[[Run], list[str]]
    work: Callable[[Run], None]
    shared: Callable[[Run], bool] = lambda run: False


def _always(run: Run) -> bool:
    return True


def _files(*names: str) -> Callable[[Run], list[str]]:
    return lambda run: list(names)


def _onnx_files(run: Run) -> list[str]:
    return [f"export/{name}{form}.onnx" for name in run.students for form in ("", "_int8")]


def _exported_files(run: Run) -> list[str]:
    folders = [f"export/{name}_saved_model" for name in run.students]
    parts = (
        "saved_model.pb",
        "variables/variables.data-00000-of-00001",
        "variables/variables.index",
    )
    saved_models = [f"{folder}/{part}" for folder in folders for part in parts]
    return [*_onnx_files(run), *saved_models, "export/parity.json", "export/latency.json"]


def _cached_files(run: Run) -> list[str]:
    index = _cache(run)
    return index + [f"cache/{name}" for name in shard_names(run.path("cache"))] if index else []


def _cache(run: Run) -> list[str]:
    return [f"cache/{INDEX}"] if run.recipe.views else []


def _teaching(run: Run) -> list[str]:
    return ["teacher.keras", *_cache(run)]


def _train_needs(run: Run) -> list[str]:
    weights = ["search/supernet.weights.h5"] if run.recipe.train.start == "supernet" else []
    return [*_teaching(run), "architecture.json", *weights]


def _models(run: Run) -> list[str]:
    return ["teacher.keras", *(f"{name}.keras" for name in run.students)]


SEARCHED = ("search/outcome.json", "search/supernet.weights.h5", "search/choices.csv")


def _searched(run: Run) -> list[str]:
    return [*SEARCHED, *([TABLE] if run.recipe.search.cost == "latency" else [])]


STAGES = (
    Stage(
        "teacher",
        ("data", "teacher"),
        _files(),
        _files("teacher.keras"),
        stages.teacher,
        shared=lambda run: not run.recipe.teacher.weights,
    ),
    Stage(
        "cache",
        ("data", "views", "search.taps", "search.map_size"),
        _files("teacher.keras"),
        _cached_files,
        stages.cache,
        shared=_always,
    ),
    Stage(
        "search",
        ("data", "space", "search"),
        _teaching,
        _searched,
        stages.search,
        shared=_always,
    ),
    Stage(
        "derive",
        ("derive",),
        _files("search/outcome.json"),
        _files("architecture.json"),
        stages.derive,
    ),
    Stage(
        "train",
        ("data", "search.taps", "train"),
        _train_needs,
        _files("student.keras"),
        stages.train,
        shared=_always,
    ),
    Stage(
        "finetune",
        ("data", "search.taps", "finetune"),
        lambda run: [*_teaching(run), "architecture.json", "student.keras"],
        _files("student_trades.keras"),
        stages.finetune,
        shared=_always,
    ),
    Stage(
        "export",
        ("name", "data", "export"),
        lambda run: [*_models(run), "architecture.json"],
        _exported_files,
        stages.export,
    ),
    Stage(
        "evaluate",
        ("data", "evaluation"),
        lambda run: [
            *_models(run),
            *_onnx_files(run),
            "export/parity.json",
            "architecture.json",
        ],
        _files("evaluation.json"),
        stages.evaluate,
        shared=lambda run: run.workers == 1,
    ),
    Stage(
        "report",
        tuple(Recipe.model_fields),
        lambda run: [
            *_models(run),
            *_searched(run),
            "architecture.json",
            "export/latency.json",
            "evaluation.json",
        ],
        _files("report.json", "report.html"),
        stages.report,
    ),
)
STAGE_NAMES = tuple(stage.name for stage in STAGES)


def run_stages(run: Run, names: Sequence[str] = STAGE_NAMES) -> None:
    """Do the named stages in order; one whose output is there, made from the same, is skipped.

    Raises:
        UserError: a stage's input is missing, the settings do not fit, the folder is not writable
            or another run works in it.
        Stopped: SIGTERM came; what was done is saved.
        WorkerLost: another of several workers does not answer any more.
    """
    run.open()
    with reporting_full_disk(run.workdir), reporting_lost_workers(run.strategy), _alone(run):
        for stage in STAGES:
            if stage.name not in names:
                continue
            if reason := _left_out(run, stage):
                if len(names) == 1:
                    run.say(f"{stage.name}: left out, {reason}")
                continue
            _do(run, stage)
        run.total(0)  # no worker leaves before the chief is done


@contextmanager
def _alone(run: Run) -> Iterator[None]:
    """Hold the work folder; of several workers, the chief does, and it alone speaks."""
    if run.is_chief:
        with locked(run.path(".stages/lock")):
            yield
    else:
        run.say = lambda line: None
        yield


def _do(run: Run, stage: Stage) -> None:
    """Do a stage, unless it is done already."""
    run.total(0)  # the files of the stages before are there for every worker
    _check_inputs(run, stage)
    signature = _signature(run, stage)
    is_done = _is_done(run, stage, signature)
    run.total(0)  # and nobody writes before all have looked
    if is_done:
        run.say(f"{stage.name}: already done from the same settings")
        return
    run.signatures[stage.name] = signature
    start = time.perf_counter()
    with reporting_full_disk(run.workdir, stage.name):
        if stage.shared(run):
            with run.strategy.scope():
                stage.work(run)
        elif run.is_chief:
            stage.work(run)
        if run.is_chief:
            _stamp(run, stage, signature, time.perf_counter() - start)
            Checkpoint(run.checkpoint(stage.name)).remove()


def durations(run: Run) -> dict[str, float]:
    """Return the seconds that each finished stage took when it was made."""
    stamps = {stage.name: run.stamp(stage.name) for stage in STAGES}
    return {name: _read_stamp(path)["seconds"] for name, path in stamps.items() if path.exists()}


def _left_out(run: Run, stage: Stage) -> str | None:
    """Return why the recipe is without this stage, or None."""
    if stage.name == "cache" and not run.recipe.views:
        return "for cache.views is 0: the teacher is asked in every step"
    if stage.name == "finetune" and not run.recipe.finetune:
        return "for finetune is null"
    return None


def _check_inputs(run: Run, stage: Stage) -> None:
    arguments = run.arguments or run.recipe.name
    for name in stage.needs(run):
        if not run.path(name).exists():
            maker = next(s.name for s in STAGES if name in s.makes(run))
            raise UserError(
                f"{stage.name} needs {run.path(name)}, which is not there; make it with "
                f"`rnascl {maker} {arguments}`, or everything with `rnascl run {arguments}`."
            )


def _signature(run: Run, stage: Stage) -> str:
    values = {**run.recipe.model_dump(mode="json"), "views": run.recipe.views}
    settings = {key: _value_at(values, key) for key in (*stage.settings, "seed")}
    inputs = {name: sha256(run.path(name)) for name in stage.needs(run)}
    return digest([settings, inputs, stages.outside_files(run, stage.name)])


def _value_at(values: dict[str, Any], key: str) -> Any:
    """Return the value of `section` or `section.key` in nested dicts."""
    for part in key.split("."):
        values = values[part]
    return values


def _is_done(run: Run, stage: Stage, signature: str) -> bool:
    stamp = run.stamp(stage.name)
    if not stamp.exists():
        return False
    made = _read_stamp(stamp)
    return made["signature"] == signature and all(
        run.path(name).exists() and sha256(run.path(name)) == made["makes"].get(name)
        for name in stage.makes(run)
    )


def _read_stamp(path: Path) -> dict[str, Any]:
    stamp = read_json(path)
    kinds = {"signature": str, "makes": dict, "seconds": (int, float)}
    if not all(isinstance(stamp.get(key), kind) for key, kind in kinds.items()):
        raise UserError(f"{path} is not what a stage leaves; delete it and run the stage again.")
    return stamp


def _stamp(run: Run, stage: Stage, signature: str, seconds: float) -> None:
    makes = {name: sha256(run.path(name)) for name in stage.makes(run)}
    write_json(run.stamp(stage.name), {"signature": signature, "makes": makes, "seconds": seconds})
