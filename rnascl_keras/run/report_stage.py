"""A run's report: its figures gathered in `report.json`, its pictures drawn into `report.html`."""

from __future__ import annotations

import importlib.metadata
import platform
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import keras
import numpy as np

from rnascl_keras.assignments import changed_settings
from rnascl_keras.files.whole import read_json, write_json
from rnascl_keras.hardware import hardware
from rnascl_keras.method.architecture import ARCHITECTURE, Tutor
from rnascl_keras.method.attention import attention_map
from rnascl_keras.method.callbacks import read_history
from rnascl_keras.method.gumbel import decayed_temperature
from rnascl_keras.method.outcome import SearchOutcome
from rnascl_keras.method.taps import tap
from rnascl_keras.recipe import load_recipe
from rnascl_keras.report.keys import class_names, model_keys
from rnascl_keras.report.page import ReportPictures, write_report
from rnascl_keras.report.undecided import entropy
from rnascl_keras.run.figures import EVALUATION, LATENCIES
from rnascl_keras.run.latency import latency_prediction
from rnascl_keras.run.pictured import pictured
from rnascl_keras.run.stamps import durations
from rnascl_keras.run.workdir import Run

PICTURED_LAYERS = 5
PACKAGES = ("rnascl-keras", "keras", "tensorflow", "onnx", "onnxruntime", "tf2onnx", "numpy")


NO_PICTURES = ReportPictures(
    tutor_probabilities=np.empty((0, 0)),
    student_layers=[],
    teacher_layers=[],
    channel_history={},
    channel_widths={},
    tutor_entropy=np.empty(0),
    gumbel_temperature=np.empty(0),
    images=np.empty((0, 1, 1, 1)),
    labels=[],
    predictions=[],
)
"""Of a run without a search."""


def report_run(run: Run) -> None:
    """Write `report.json` and `report.html`."""
    timed = read_json(run.path("export/latency.json"), LATENCIES)
    figures = read_json(run.path("evaluation.json"), EVALUATION)
    for name, file in figures["export"].items():
        if name in timed["files"]:
            file["latency_ms"] = timed["files"][name]
    for name in model_keys(figures):
        figures[name]["bytes"] = run.path(f"{name}.keras").stat().st_size
    report = {
        "recipe": run.recipe.name,
        "seed": run.recipe.seed,
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "versions": {"python": platform.python_version()}
        | {name: importlib.metadata.version(name) for name in PACKAGES},
        **figures,
        "data": _data(run),
        "command": _command(run),
        "hardware": hardware(),
        "teacher_onnx": timed["teacher"],
        **_searched(run, timed["files"]),
        "files": _files(run),
        "settings": run.recipe.model_dump(mode="json"),
        "duration": durations(run),
    }
    write_report(run.workdir, report, _pictures(run))
    write_json(run.path("report.json"), report)


def _searched(run: Run, timed: dict[str, dict[str, float]]) -> dict[str, Any]:
    """Return what the report says of the search; nothing where there was none."""
    if not run.students:
        return {}
    architecture = read_json(run.path("architecture.json"), ARCHITECTURE)
    return {**latency_prediction(run, timed), "architecture": architecture}


def _data(run: Run) -> dict[str, Any]:
    train, held_out, test = run.data.train, run.data.validation, run.data.test
    return {
        "image_shape": list(train.input_shape),
        "classes": class_names(train.class_names, train.classes),
        "train": len(train),
        "validation": len(held_out) if held_out else 0,
        "test": len(test),
        "preprocessing": test.preprocessing,
    }


def _command(run: Run) -> str:
    """Return what makes this run again: the recipe and folders as they were given, and every
    setting that is not the recipe's own."""
    if run.command is None:
        return run.command_line("run")
    changes = changed_settings(run.recipe, load_recipe(run.command.recipe))
    return replace(run.command, changes=tuple(changes)).line("run")


def _files(run: Run) -> dict[str, str]:
    names = ["teacher.keras", *(["architecture.json"] if run.students else [])]
    for student in run.deployed:
        names += [
            *([f"{student}.keras"] if student in run.students else []),
            *(f"export/{file}" for file in run.exported(student)),
            f"export/{student}_saved_model",
        ]
    searched = ["search"] if run.students else []
    return {Path(name).name: name for name in [*names, *searched, "report.json", "report.html"]}


def _pictures(run: Run) -> ReportPictures:
    if not run.students:
        return NO_PICTURES
    outcome = SearchOutcome.load(run.path("search/outcome.json"))
    history = _history(run.path("search/choices.csv"))
    tutors = [rows for choice, rows in history.items() if choice.startswith("tutor_choice:")]
    channels = {c: rows for c, rows in history.items() if not c.startswith("tutor_choice:")}
    epochs, temperature = run.recipe.search.epochs, run.recipe.search.temperature_arguments()
    student = run.student(run.students[-1])
    shown = pictured(run, student)
    test = run.data.test
    names = class_names(test.class_names, test.classes)
    return ReportPictures(
        tutor_probabilities=outcome.tutor_probabilities,
        student_layers=outcome.student_layers,
        teacher_layers=outcome.teacher_layers,
        channel_history={
            c: np.array([list(row.values()) for row in r]) for c, r in channels.items()
        },
        channel_widths={c: [int(width) for width in rows[0]] for c, rows in channels.items()},
        tutor_entropy=np.mean([_entropies(rows) for rows in tutors], axis=0),
        gumbel_temperature=np.array(
            [decayed_temperature(k, epochs, **temperature) for k in range(epochs)]
        ),
        images=shown.images,
        labels=[names[k] for k in shown.labels],
        predictions=[names[k] for k in shown.answers],
        attention=_attention(run, student, shown.images),
        fooled=shown.fooled,
    )


def _history(path: Path) -> dict[str, list[dict[str, float]]]:
    """Return choice -> for each epoch, option -> probability."""
    history: dict[str, list[dict[str, float]]] = {}
    for row in read_history(path):
        epochs = history.setdefault(row["choice"], [])
        if len(epochs) == int(row["epoch"]):
            epochs.append({})
        epochs[-1][row["option"]] = float(row["probability"])
    return history


def _entropies(rows: list[dict[str, float]]) -> list[float]:
    """Return the entropy of one choice after each epoch, in nats."""
    p = np.array([list(row.values()) for row in rows])
    return entropy(p).tolist()


def _attention(run: Run, student: keras.Model, images: np.ndarray) -> list[dict[str, Any]]:
    """Return the maps of some student layers, from first to last, and of their tutors."""
    tutors = run.architecture.tutors
    picks = np.unique(np.linspace(0, len(tutors) - 1, PICTURED_LAYERS).round().astype(int))
    chosen: list[Tutor] = [tutors[k] for k in picks]
    own = _maps(student, [t.student_layer for t in chosen], images)
    theirs = _maps(run.teacher, [t.teacher_layer for t in chosen], images)
    return [
        {
            "student_layer": tutor.student_layer,
            "teacher_layer": tutor.teacher_layer,
            "student": own[tutor.student_layer],
            "teacher": theirs[tutor.teacher_layer],
        }
        for tutor in chosen
    ]


def _maps(model: keras.Model, layers: list[str], images: np.ndarray) -> dict[str, np.ndarray]:
    names = list(dict.fromkeys(layers))
    _, activations, _ = tap(model, names)(images)
    return {
        name: np.asarray(attention_map(activation))
        for name, activation in zip(names, activations, strict=True)
    }
