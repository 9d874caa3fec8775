"""The figures of a run: every Keras model and int8 file attacked, images replayed on the files."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import keras
import numpy as np

from rnascl_keras.evaluation.corrupted import check_corruptible, evaluate_corrupted
from rnascl_keras.evaluation.evaluate import Evaluation, accuracy_of, evaluate
from rnascl_keras.evaluation.intervals import wilson_interval
from rnascl_keras.evaluation.sweep import sweep_radii
from rnascl_keras.export.deployed import open_classifier
from rnascl_keras.files.exported import is_int8
from rnascl_keras.files.whole import read_json, write_json
from rnascl_keras.models.size import model_macs, model_parameters
from rnascl_keras.report.keys import TRANSFER
from rnascl_keras.run.computing import computing
from rnascl_keras.run.figures import PARITY
from rnascl_keras.run.workdir import Run

FIGURES = ("accuracy", "intervals", "near_chance", "check")
"""Of an evaluation, what is kept of each model and of each file that is attacked."""
BY_CLASS = ("per_class", "class_counts", "confusion")
"""And of each model besides; many classes have no confusion."""
SWEPT_IMAGES = 200
SWEPT = (0.25, 0.5, 1.0, 2.0)
"""Radii of the sweep, as parts of the run's own."""


def evaluate_run(run: Run) -> None:
    """Write `evaluation.json`.

    The adversarial images are made on the Keras model. On its exported files they are a *transfer*,
    named so: they say that a file behaves like the model, not that the file was attacked. The float
    file is the same function as the model. The int8 file is another one, and is attacked itself.
    """
    settings = run.recipe.evaluation
    images, labels = run.data.test.first(min(settings.n, len(run.data.test)))
    if settings.corruptions:  # told before hours of attacks
        check_corruptible(images)
    parity = read_json(run.path("export/parity.json"), PARITY)
    files = {file: open_classifier(run.path(f"export/{file}")) for file in parity}
    result: dict[str, Any] = {"epsilon": settings.epsilon, "n": len(images), "export": {}}
    models = {"teacher": run.teacher} | {name: run.student(name) for name in run.students}
    with computing(run, models, images, labels) as (by_name, engines):
        for name, by in by_name.items():
            other = by_name.get(run.deployed[-1] if name == "teacher" else "teacher")
            other = None if other is by else other
            evaluation, adversarial = _attack(run, name, by, images, labels, other)
            figures = evaluation.as_dict()
            result[name] = {
                "parameters": model_parameters(models[name]),
                "macs": _macs(run, name, models[name]),
                "engine": asdict(engines[name]),
                **{key: figures[key] for key in (*FIGURES, *BY_CLASS) if key in figures},
                "sweep": _swept(run, by, images, labels, evaluation),
                **_corrupted(run, name, by, images, labels),
            }
            for file in run.exported(name):
                if file in files:
                    own = _of_file(run, file, files[file], images, labels, by, adversarial)
                    result["export"][file] = {**parity[file], **own}
    write_json(run.path("evaluation.json"), result)


def _of_file(
    run: Run,
    file: str,
    classifier: Any,
    images: np.ndarray,
    labels: np.ndarray,
    by: Any,
    adversarial: dict[str, np.ndarray],
) -> dict[str, Any]:
    """Return an exported file's figures, with those of the images made on its model, `by`."""
    entry = {"accuracy": {"clean": accuracy_of(classifier.logits, images, labels)}}
    if is_int8(file):
        own, _ = _attack(run, file, classifier, images, labels, by)
        entry = {key: own.as_dict()[key] for key in FIGURES}
    for key, replayed in adversarial.items():
        entry["accuracy"][TRANSFER + key] = accuracy_of(classifier.logits, replayed, labels)
    return entry


def _swept(
    run: Run, by: Any, images: np.ndarray, labels: np.ndarray, evaluation: Evaluation
) -> dict[str, Any]:
    """Return PGD-20's accuracy over the radius on the first images, and `clean`, that at 0, with
    its `clean_interval`.
    """
    first = slice(SWEPT_IMAGES)
    radii = [min(1.0, part * run.recipe.evaluation.epsilon) for part in SWEPT]
    settings = {"radii": radii, "attacks": ("pgd",), "seed": run.recipe.seed}
    swept = sweep_radii(by, images[first], labels[first], **settings)
    right = evaluation.right["clean"][first]
    clean = {"clean": float(np.mean(right)), "clean_interval": wilson_interval(right)}
    return clean | swept.as_dict()


def _corrupted(
    run: Run, name: str, by: Any, images: np.ndarray, labels: np.ndarray
) -> dict[str, Any]:
    """Return the accuracies under corruptions, where they are asked for."""
    corruptions = run.recipe.evaluation.corrupting()
    if not corruptions:
        return {}
    run.say(f"evaluate: {name} under {len(corruptions)} corruptions")
    settings = {"corruptions": corruptions, "seed": run.recipe.seed}
    return {"corrupted": evaluate_corrupted(by, images, labels, **settings).as_dict()}


def _attack(
    run: Run, name: str, by: Any, images: np.ndarray, labels: np.ndarray, other: Any
) -> tuple[Evaluation, dict[str, np.ndarray]]:
    run.say(f"evaluate: {name} on the first {len(images)} test images")
    evaluation, adversarial = evaluate(
        by,
        images,
        labels,
        seed=run.recipe.seed,
        other=other,
        **run.recipe.evaluation.arguments(),
    )
    if evaluation.near_chance:
        run.say(f"evaluate: {name}: no verdict on robustness: {evaluation.near_chance}")
    if evaluation.check:
        run.say(f"evaluate: {name}: {evaluation.check.verdict}")
    return evaluation, adversarial


def _macs(run: Run, name: str, model: keras.Model) -> int:
    """Return a model's multiply-adds; say what of it cannot be counted."""
    counted = model_macs(model)
    if counted.uncounted:
        run.say(f"evaluate: {name}: multiply-adds without those of {', '.join(counted.uncounted)}")
    return counted.total
