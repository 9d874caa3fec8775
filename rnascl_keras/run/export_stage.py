"""A run's files for deployment: every student as SavedModel and as float and int8 ONNX."""

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
    OnnxClassifier,
    QuantisedModel,
    export_student,
    measure_latency,
    quantise,
)
from rnascl_keras.export.convert import check_exportable, write_onnx
from rnascl_keras.export.parity import keras_logits
from rnascl_keras.files.whole import write_json
from rnascl_keras.models.fingerprint import fingerprint
from rnascl_keras.run.workdir import Run
from rnascl_keras.units import milliseconds, percent

PARITY_IMAGES = 1000


def export_run(run: Run) -> None:
    """Write the folder `export/`.

    `parity.json` there says of each ONNX file how close it comes to its model, `latency.json` how
    fast it is, and the teacher beside it: apart, since no two timings are alike.
    """
    images, labels = _check_images(run)
    calibration = _calibration_images(run)
    found: dict[str, Any] = {}
    timed: dict[str, Any] = {"teacher": _time_teacher(run, images, labels), "files": {}}
    run.forget("teacher")
    for name in run.students:
        model = run.student(name)
        clean = _clean(partial(keras_logits, model), images, labels)
        run.say(f"export: {name}.keras: {clean}, {_bytes(run, name):,} bytes")
        made, quantised = _write(run, name, model, images, calibration)
        for path, figures in ((made.onnx_path, made), (quantised.path, quantised)):
            found[path.name] = {
                key: getattr(figures, key)
                for key in ("sha256", "bytes", "max_abs_difference", "agreement")
            }
            timed["files"][path.name] = measure_latency(path)
            clean = _clean(OnnxClassifier(path).logits, images, labels)
            speed = _speed(figures.bytes, timed["files"][path.name])
            run.say(
                f"export: {path.name}: {clean}, {speed}, largest difference of a logit "
                f"{figures.max_abs_difference:.1e}, same class on {figures.agreement:.1%} of "
                f"{len(images):,} images"
            )
    write_json(run.path("export/parity.json"), found)
    write_json(run.path("export/latency.json"), timed)


def _write(
    run: Run, name: str, model: keras.Model, images: np.ndarray, calibration: np.ndarray
) -> tuple[ExportedModel, QuantisedModel]:
    """Write a student's files, checked on `images`."""
    metadata = _metadata(run, model)
    made = export_student(model, run.path("export"), name, images, metadata=metadata)
    int8 = run.path(f"export/{name}_int8.onnx")
    # one of an earlier export does not belong to this float file
    int8.unlink(missing_ok=True)
    settings = run.recipe.export.arguments()
    return made, quantise(made.onnx_path, int8, calibration, check_images=images, **settings)


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
    architecture = run.architecture
    told = run.data.test.preprocessing
    return {
        "recipe": run.recipe.name,
        "space": architecture.space.name,
        "widths": json.dumps(architecture.widths),
        "classes": str(architecture.classes),
        "class_names": json.dumps(run.data.test.class_names),
        "fingerprint": fingerprint(model),
        **({"preprocessing": told} if told else {}),
    }


def _calibration_images(run: Run) -> np.ndarray:
    """Return training images as they are, drawn by the run's seed."""
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
    one, all_threads = milliseconds(ms["one_thread"]), milliseconds(ms["all_threads"])
    return f"{size:,} bytes, {one} ms on one thread, {all_threads} ms on all"
