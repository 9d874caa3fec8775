"""The rows of a comparison of networks: each trained alike, pruned, exported and attacked."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rnascl_keras.assignments import with_settings
from rnascl_keras.comparison.kept_rows import EVALUATED, FIGURES, NETWORK, STRONG_NETWORK, TIMED
from rnascl_keras.comparison.network_spec import NetworkSpec
from rnascl_keras.errors import UserError
from rnascl_keras.evaluation.evaluate import evaluate
from rnascl_keras.files.hashes import content_hash
from rnascl_keras.files.whole import read_json, write_json
from rnascl_keras.hardware import hardware
from rnascl_keras.models.saving import load_model
from rnascl_keras.models.size import model_macs
from rnascl_keras.pruning.masks import kept_weights
from rnascl_keras.pruning.prune import prune_run
from rnascl_keras.run.pipeline import run_stages
from rnascl_keras.run.workdir import Run
from rnascl_keras.teachers import build_teacher


@dataclass(frozen=True)
class Budget:
    """What each network may train: so many epochs, or so much compute.

    Attributes:
        epochs: of all its trainings together.
        compute: multiply-adds of a forward pass x images; in its place.
    """

    epochs: int | None = None
    compute: float | None = None

    def epochs_of(self, macs: int, images: int) -> int:
        """Return the epochs of a network of `macs` an image over `images`; at least one."""
        if self.compute is None:
            return self.epochs or 1
        return max(1, round(self.compute / (macs * images)))


def network_row(run: Run, spec: NetworkSpec, budget: Budget, auto_attack: int) -> dict[str, Any]:
    """Return the figures of a network, made now where they are not there yet.

    Its files are in `networks/<network>_<epochs>/` of the run's folder, where a training that was
    cut short goes on; the figures in `networks/<network>.json`.

    Args:
        run: whose data, training and evaluation all rows share.
        spec: the network.
        budget: what it may train.
        auto_attack: images for AutoAttack; 0: none.
    """
    data, teacher = run.data.train, run.recipe.teacher
    network = {"architecture": spec.architecture, "width": spec.width, "cells": spec.cells}
    network |= {"mean": teacher.mean, "std": teacher.std}
    model = build_teacher(input_shape=data.input_shape, classes=data.classes, **network)
    macs = model_macs(model).total
    images = data.steps_per_epoch(teacher.batch_size) * teacher.batch_size
    epochs = budget.epochs_of(macs, images)
    sub = _own_run(run, spec, epochs)
    begin = time.perf_counter()
    path, figures = _pruned(sub, spec, epochs) if spec.way else _trained(sub)
    total = sum(spec.shares(epochs))
    row = {
        "network": spec.text,
        "epochs": total,
        "compute": total * macs * images,
        **figures,
        "n": figures["n"],
        "auto_attack_n": auto_attack,
        "sha256": content_hash(path),
    }
    file = run.path(f"networks/{spec.key}.json")
    noted = read_json(file, NETWORK) if file.exists() else {}
    if all(noted.get(key) == row[key] for key in ("network", "epochs", "sha256", "auto_attack_n")):
        if auto_attack:
            STRONG_NETWORK.check(file, noted)
        run.say(f"{spec.text}: already done from the same settings")
        return noted
    kept, weights = kept_weights(load_model(path))
    row |= {"kept": kept, "weights": weights, "hardware": hardware()}
    if auto_attack:
        row["auto_attack"] = _auto_attacked(run, path, auto_attack)
    row["seconds"] = time.perf_counter() - begin
    write_json(file, row)
    return row


def _own_run(run: Run, spec: NetworkSpec, epochs: int) -> Run:
    """Return the run of this network alone, with PGD-20 on its own files."""
    dense = spec.shares(epochs)[0]
    shared = ['evaluation.attacks=["pgd"]', "evaluation.check=0", "export.agreement=0"]
    shared.append("export.litert=false")  # the table has no such file
    recipe = with_settings(run.recipe, [*spec.changes(dense), *shared])
    folder = run.path(f"networks/{spec.dense_key}_{dense}")
    return Run(recipe, folder, run.data_dir, run.listener, run.command, run.overwrite)


def _trained(sub: Run) -> tuple[Path, dict[str, Any]]:
    """Return the trained model's file and its figures."""
    run_stages(sub, ("teacher", "export", "evaluate"))
    found = read_json(sub.path("evaluation.json"), EVALUATED)
    timed = read_json(sub.path("export/latency.json"), TIMED)["files"]
    files = {
        name: {"bytes": found["export"][name]["bytes"], "latency_ms": timed[name]}
        for name in ("teacher.onnx", "teacher_int8.onnx")
    }
    own = {key: found["teacher"][key] for key in ("parameters", "macs", "accuracy", "intervals")}
    return sub.path("teacher.keras"), {
        **own,
        "n": found["n"],
        "epsilon": found["epsilon"],
        **_sides(files),
    }


def _pruned(sub: Run, spec: NetworkSpec, epochs: int) -> tuple[Path, dict[str, Any]]:
    """Return the pruned model's file and its figures."""
    teacher = sub.recipe.teacher
    if teacher.method == "natural":
        raise UserError("pruning trains adversarially; give a recipe whose teacher does.")
    settings = spec.pruning(
        epochs,
        batch_size=teacher.batch_size,
        method=teacher.method,
        epsilon=teacher.epsilon,
        learning_rate=teacher.learning_rate / 10,
        mask_learning_rate=teacher.learning_rate,
    )
    found = prune_run(sub, "teacher", settings)
    names = ("parameters", "macs", "n", "epsilon", "accuracy", "intervals")
    own = {key: found[key] for key in names} | _sides(found["files"])
    name = f"prune/teacher_{settings.title()}"
    FIGURES.check(sub.path(f"{name}.json"), own)
    return sub.path(f"{name}.keras"), own


def _sides(files: dict[str, Any]) -> dict[str, Any]:
    """Return size and latency, by one thread, of the float and of the int8 file."""
    return {
        "int8" if name.endswith("_int8.onnx") else "onnx": {
            "bytes": file["bytes"],
            "latency_ms": file["latency_ms"]["one_thread"],
        }
        for name, file in files.items()
    }


def _auto_attacked(run: Run, path: Path, count: int) -> dict[str, Any]:
    images, labels = run.data.test.first(min(count, len(run.data.test)))
    settings = {"attacks": ("auto_attack",), "epsilon": run.recipe.evaluation.epsilon}
    found, _ = evaluate(
        load_model(path), images, labels, seed=run.recipe.seed, check=0, keep=False, **settings
    )
    return {
        "n": found.n,
        "accuracy": found.accuracy["auto_attack"],
        "interval": found.intervals["auto_attack"],
    }
