"""A run's files for deployment: every student as SavedModel, as float and int8 ONNX and LiteRT."""

from __future__ import annotations

import json
import tempfile
from functools import partial
from pathlib import Path
from typing import Any

import keras
import numpy as np

from rnascl_keras.errors import one_line
from rnascl_keras.evaluation.evaluate import LogitsFunction, accuracy_of
from rnascl_keras.export import (
    ExportedModel,
    LiteRTModel,
    QuantisedModel,
    export_litert,
    export_student,
    measure_latency,
    quantise,
)
from rnascl_keras.export.convert import check_exportable, write_onnx
from rnascl_keras.export.deployed import LITERT, open_classifier
from rnascl_keras.export.litert.latency import measure_litert_latency
from rnascl_keras.export.litert.writing import litert_in_words
from rnascl_keras.export.parity import keras_logits
from rnascl_keras.files.exported import exported_files
from rnascl_keras.files.whole import write_json
from rnascl_keras.models.fingerprint import fingerprint
from rnascl_keras.run.workdir import Run
from rnascl_keras.units import milliseconds, percent

PARITY_IMAGES = 1000
KEPT = ("sha256", "bytes", "max_abs_difference", "agreement", "operators", "activation_bytes")


def export_run(run: Run) -> None:
    """Write the folder `export/`.

    `parity.json` there says of each file how close it comes to its model, and of LiteRT files which
    operators and how much memory they take; `latency.json` how fast it is, and the teacher beside
    it: apart, since no two timings are alike.
    """
    images, labels = _check_images(run)
    calibration = calibration_images(run)
    found: dict[str, Any] = {}
    compared = _time_teacher(run, images, labels) if run.students else None
    timed: dict[str, Any] = {"teacher": compared, "files": {}}
    run.forget("teacher")
    for name in run.deployed:
        model = run.model(name)
        clean = _clean(partial(keras_logits, model), images, labels)
        run.say(f"export: {name}.keras: {clean}, {_bytes(run, name):,} bytes")
        for figures in _write(run, name, model, images, calibration):
            path = figures.path
            found[path.name] = {key: vars(figures)[key] for key in KEPT if key in vars(figures)}
            timed["files"][path.name] = _latency(path)
            clean = _clean(open_classifier(path).logits, images, labels)
            speed = _speed(figures.bytes, timed["files"][path.name])
            run.say(
                f"export: {path.name}: {clean}, {speed}, largest difference of a logit "
                f"{figures.max_abs_difference:.1e}, same class on {figures.agreement:.1%} of "
                f"{len(images):,} images"
            )
            if isinstance(figures, LiteRTModel):
                run.say(f"export: {path.name}: {litert_in_words(figures)}")
    write_json(run.path("export/parity.json"), found)
    write_json(run.path("export/latency.json"), timed)


def _write(
    run: Run, name: str, model: keras.Model, images: np.ndarray, calibration: np.ndarray
) -> list[ExportedModel | QuantisedModel | LiteRTModel]:
    """Write a student's files, checked on `images`."""
    folder, settings = run.path("export"), run.recipe.export
    made = export_student(model, folder, name, images, metadata=_metadata(run, model))
    others = [folder / file for file in exported_files(name)[1:]]
    for path in others:  # those of an earlier export do not belong to this model
        path.unlink(missing_ok=True)
    checked = {"check_images": images, **settings.arguments()}
    written = [made, quantise(made.path, others[0], calibration, **checked)]
    if settings.litert:
        given = {"saved_model": made.saved_model_path, "integer_ends": settings.integer_ends}
        written += export_litert(
            model, folder, name, images, calibration, **given, **settings.arguments()
        )
    return written


def _latency(path: Path) -> dict[str, float]:
    return (measure_litert_latency if path.suffix == LITERT else measure_latency)(path)


def _time_teacher(run: Run, images: np.ndarray, labels: np.ndarray) -> dict[str, Any] | None:
    """Return size and latency of the teacher's ONNX file, which is not kept; None where there is
    none to be had."""
    model = run.teacher
    clean = _clean(partial(keras_logits, model), images, labels)
    said = f"export: teacher.keras: {clean}, {_bytes(run, 'teacher'):,} bytes"
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "teacher.onnx"
        try:
            check_exportable(model)
            write_onnx(model, path)
            figures = {"bytes": path.stat().st_size, "latency_ms": measure_latency(path)}
        except Exception as error:  # a converter's errors have no common class
            reason = one_line(error)
            run.say(f"{said}; not timed as ONNX: {reason}")
            return None
    run.say(f"{said}; as ONNX {_speed(figures['bytes'], figures['latency_ms'])}")
    return figures


def _metadata(run: Run, model: keras.Model) -> dict[str, str]:
    told = run.data.test.preprocessing
    chosen = {"architecture": str(run.recipe.teacher.architecture)}
    if run.students:
        widths = json.dumps(run.architecture.widths)
        chosen = {"space": run.architecture.space.name, "widths": widths}
    return {
        "recipe": run.recipe.name,
        **chosen,
        "classes": str(run.data.test.classes),
        "class_names": json.dumps(run.data.test.class_names),
        "fingerprint": fingerprint(model),
        **({"preprocessing": told} if told else {}),
    }


def calibration_images(run: Run) -> np.ndarray:
    """Return training images as they are, drawn by the run's seed: those by which int8 files are
    calibrated."""
    train = run.data.train
    count = min(run.recipe.export.calibration, len(train))
    return next(iter(train.training_batches(count, seed=run.recipe.seed)))[0].numpy()


def _check_images(run: Run) -> tuple[np.ndarray, np.ndarray]:
    """Return 1,000 images, of the test split as far as it reaches, then of the training split; and
    the labels of those of the test split."""
    test, train = run.data.test, run.data.train
    images, labels = test.first(min(PARITY_IMAGES, len(test)))
    missing = min(PARITY_IMAGES - len(images), len(train))
    if missing:
        images = np.concatenate([images, train.first(missing)[0]])
    return images, labels


def _clean(logits_of: LogitsFunction, images: np.ndarray, labels: np.ndarray) -> str:
    accuracy = accuracy_of(logits_of, images[: len(labels)], labels)
    return f"{percent(accuracy)} % of {len(labels):,} test images"


def _bytes(run: Run, name: str) -> int:
    """Return the size of a Keras model's file."""
    return run.path(f"{name}.keras").stat().st_size


def _speed(size: int, ms: dict[str, float]) -> str:
    words = f"{size:,} bytes, {milliseconds(ms['one_thread'])} ms on one thread"
    return f"{words}, {milliseconds(ms['all_threads'])} ms on all" if "all_threads" in ms else words
