"""The rows of a comparison of networks: each trained alike, pruned, exported and attacked."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rnascl_keras.assignments import with_settings
from rnascl_keras.comparison.kept_rows import FIGURES, NETWORK, STRONG_NETWORK
from rnascl_keras.comparison.network_spec import NetworkSpec
from rnascl_keras.evaluation.evaluate import evaluate
from rnascl_keras.files.exported import is_int8
from rnascl_keras.files.hashes import content_hash
from rnascl_keras.files.whole import read_json, write_json
from rnascl_keras.hardware import hardware
from rnascl_keras.models.saving import load_model
from rnascl_keras.models.size import model_macs
from rnascl_keras.pruning.figures import measured, measured_by
from rnascl_keras.pruning.prune import prune_run
from rnascl_keras.pruning.settings import Pruning
from rnascl_keras.run.pipeline import run_stages
from rnascl_keras.run.workdir import Run
from rnascl_keras.teacher_settings import Teacher
from rnascl_keras.teachers import build_teacher

Measured = tuple[Path, Callable[[], dict[str, Any]]]


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


@dataclass(frozen=True)
class Plan:
    """What a network of a comparison trains.

    Attributes:
        spec: the network.
        macs: multiply-adds of a forward pass on an image.
        images: of an epoch.
        epochs: of all its trainings together.
    """

    spec: NetworkSpec
    macs: int
    images: int
    epochs: int

    def compute(self, macs: int) -> float:
        """Return what it spends: multiply-adds of a forward pass x images, with `macs` of them an
        image in the fine-tuning, where whole channels are gone."""
        dense, mask, tune = self.spec.shares(self.epochs)
        return ((dense + mask) * self.macs + tune * macs) * self.images


def planned(run: Run, spec: NetworkSpec, budget: Budget) -> Plan:
    """Return what a network will train; it is built, to be counted, and its pruning looked at.

    Args:
        run: whose data and training all rows share.
        spec: the network.
        budget: what it may train.

    Raises:
        UserError: there is no such network, not of that size, or it cannot be pruned so.
    """
    data, teacher = run.data.train, run.recipe.teacher
    network = {"architecture": spec.architecture, "width": spec.width, "cells": spec.cells}
    network |= {"mean": teacher.mean, "std": teacher.std}
    model = build_teacher(input_shape=data.input_shape, classes=data.classes, **network)
    macs = model_macs(model).total
    images = data.steps_per_epoch(teacher.batch_size) * teacher.batch_size
    plan = Plan(spec, macs, images, budget.epochs_of(macs, images))
    if spec.way:
        _pruning(teacher, plan)
    return plan


def network_row(run: Run, plan: Plan, auto_attack: int) -> dict[str, Any]:
    """Return the figures of a network, made now where they are not there yet.

    Where only the measuring has changed, the trained network stays.

    Its files are in a folder of `networks/` in the run's, where a training that was cut short goes
    on; the figures in `networks/<network>.json`.

    Args:
        run: whose data, training and evaluation all rows share.
        plan: what the network trains.
        auto_attack: images for AutoAttack; 0: none.
    """
    spec = plan.spec
    sub = _own_run(run, plan)
    path, measure = _pruned(sub, plan) if spec.way else _trained(sub)
    row: dict[str, Any] = {
        "network": spec.text,
        "epochs": sum(spec.shares(plan.epochs)),
        "auto_attack_n": auto_attack,
        "sha256": content_hash(path),
        "measured_by": measured_by(sub),
    }
    file = run.path(f"networks/{spec.key}.json")
    noted = read_json(file, NETWORK) if file.exists() else {}
    if all(noted.get(key) == row[key] for key in row):
        if auto_attack:
            STRONG_NETWORK.check(file, noted)
        run.say(f"{spec.text}: already done from the same settings")
        return noted
    row |= {**measure(), "hardware": hardware()}
    row["compute"] = plan.compute(row["macs"])
    if auto_attack:
        row["auto_attack"] = _auto_attacked(run, path, auto_attack)
    write_json(file, row)
    return row


def _own_run(run: Run, plan: Plan) -> Run:
    """Return the run of this network alone, with PGD-20 on its own files."""
    spec = plan.spec
    dense = spec.shares(plan.epochs)[0]
    shared = ['evaluation.attacks=["pgd"]', "evaluation.check=0", "export.agreement=0"]
    recipe = with_settings(run.recipe, [*spec.changes(dense), *shared])
    # what is pruned goes on from there for the rest of its budget, which is another for each
    whole = f"_of_{plan.epochs}" if spec.way else ""
    folder = run.path(f"networks/{spec.dense_key}_{dense}{whole}")
    return Run(recipe, folder, run.data_dir, run.listener, run.command, run.overwrite)


def _trained(sub: Run) -> Measured:
    """Return the trained model's file, and what measures it."""
    run_stages(sub, ("teacher",))
    folder = sub.path("dense")
    folder.mkdir(exist_ok=True)
    return sub.path("teacher.keras"), lambda: _shown(measured(sub, sub.teacher, folder, "teacher"))


def _pruning(teacher: Teacher, plan: Plan) -> Pruning:
    """Return the settings of a network's pruning: on its own training's batches and attack, with
    the rate's schedule and weight decay of `Pruning`, which are its authors'."""
    same = ("batch_size", "method", "epsilon", "steps", "step_size", "trades_beta", "clip_norm")
    return plan.spec.pruning(
        plan.epochs,
        **{name: getattr(teacher, name) for name in same},
        learning_rate=teacher.learning_rate / 10,
        mask_learning_rate=teacher.learning_rate,
    )


def _pruned(sub: Run, plan: Plan) -> Measured:
    """Return the pruned model's file, and what gives its figures."""
    settings = _pruning(sub.recipe.teacher, plan)
    own = _shown(prune_run(sub, "teacher", settings))
    name = f"prune/teacher_{settings.title()}"
    FIGURES.check(sub.path(f"{name}.json"), own)
    return sub.path(f"{name}.keras"), lambda: own


def _shown(found: dict[str, Any]) -> dict[str, Any]:
    """Return of a model's figures what the table shows."""
    names = ("parameters", "weights", "kept", "macs", "n", "epsilon", "accuracy", "intervals")
    sides = {
        "int8" if is_int8(name) else "onnx": {
            "bytes": file["bytes"],
            "latency_ms": file["latency_ms"]["one_thread"],
        }
        for name, file in found["files"].items()
    }
    return {key: found[key] for key in names} | sides


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
