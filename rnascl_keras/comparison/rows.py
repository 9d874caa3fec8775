"""The rows of a comparison: each student trained, attacked, and written down at once."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np

from rnascl_keras.comparison.differences import as_text
from rnascl_keras.comparison.kept_rows import ROW, STRONG_ROW
from rnascl_keras.comparison.methods import START, Method, find_methods
from rnascl_keras.errors import UserError
from rnascl_keras.evaluation.evaluate import Evaluation, evaluate
from rnascl_keras.files.hashes import content_hash
from rnascl_keras.files.lock import locked
from rnascl_keras.files.whole import read_json, write_json
from rnascl_keras.hardware import hardware
from rnascl_keras.method.architecture import Architecture
from rnascl_keras.method.outcome import SearchOutcome
from rnascl_keras.models.saving import load_model, save_model
from rnascl_keras.run import begun
from rnascl_keras.run.fitting import fit_stage, seed_stage
from rnascl_keras.run.lost_work import check_nothing_is_lost
from rnascl_keras.run.origin import Origin
from rnascl_keras.run.pipeline import run_stages
from rnascl_keras.run.schedules import sgd
from rnascl_keras.run.starts import SUPERNET, started_student, student_start
from rnascl_keras.run.workdir import Run
from rnascl_keras.settings import Tutored

BEFORE = ("teacher", "cache", "search", "derive")
"""The stages that all rows share."""
MEASURING = ("evaluation", "radii", "auto-attack")
"""Settings of a row by which its student is measured, not trained."""


@dataclass(frozen=True)
class Measures:
    """What is measured of each student.

    Attributes:
        radii: of PGD-20, from small to large, on the recipe's `evaluation.n` images.
        auto_attack: number of images for AutoAttack at the largest of them; 0: none.
    """

    radii: tuple[float, ...]
    auto_attack: int = 0


def compare_rows(
    run: Run, names: Sequence[str], seeds: Sequence[int], measures: Measures
) -> list[dict[str, Any]]:
    """Train and measure a student for each method and seed; a row that is there is not made again.
    Where only the measuring has changed, the trained student stays.

    All start from the run's own teacher, cache and architecture, with the weights of `train.start`,
    see the same images in the same order, and differ by the seed of what is random.

    Args:
        run: the recipe's; the stages up to the architecture are done where they are not yet.
        names: of methods, see `methods.METHODS`.
        seeds: one row each.
        measures: of each row.

    Returns:
        The rows, as they are in `compare/<method>_seed<seed>.json`.

    Raises:
        UserError: a method is unknown, takes adversarial images where `finetune` is null, or
            learns from tutors where `gamma_t` is 0; several workers are at it; or trained students,
            or figures of AutoAttack, would be lost.
    """
    methods = find_methods(names)
    sections = _sections(run, names, methods)
    run_stages(run, BEFORE)
    rows = []
    with locked(run.path(".stages/lock")):
        for seed in seeds:
            for name, method in methods.items():
                row = _Row(run, name, method, sections[name], seed, measures).made()
                if name in names:
                    rows.append({key: row[key] for key in row if key != "made_from"})
    return rows


def _sections(run: Run, names: Sequence[str], methods: dict[str, Method]) -> dict[str, Tutored]:
    """Return each method's section of the recipe.

    Raises:
        UserError: the recipe has none for a method, or several hosts are at it, or one that has
            tutors would be trained without them.
    """
    recipe = run.recipe
    _ = recipe.search_space  # a recipe without one is refused
    found: dict[str, Tutored] = {}
    for name, method in methods.items():
        section = recipe.finetune if method.adversarial else recipe.train
        if section is not None:
            found[name] = section
    if foreign := [name for name in names if name not in found]:
        raise UserError(
            f"{', '.join(foreign)} take the settings of finetune, which is null in recipe "
            f"{recipe.name}; leave them out, or give it."
        )
    if idle := [name for name, own in found.items() if methods[name].tutored and not own.gamma_t]:
        raise UserError(
            f"{', '.join(idle)} learn from tutors, and gamma_t of train or finetune is 0 in recipe "
            f"{recipe.name}; leave them out, and those that go on from {START}, or give it above 0."
        )
    run.check_one_host("compare")
    return found


class _Row:
    """A method with its section of the recipe and a seed, in the run's folder `compare/`."""

    def __init__(
        self,
        run: Run,
        name: str,
        method: Method,
        settings: Tutored,
        seed: int,
        measures: Measures,
    ) -> None:
        self.run, self.name, self.method, self.seed = run, name, method, seed
        self.settings, self.measures = settings, measures
        self.key = f"{name}_seed{seed}"
        self.figures = run.path(f"compare/{self.key}.json")
        self.student = run.path(f"compare/{self.key}.keras")
        self.searched = run.path(f"compare/{START}_seed{seed}.keras")

    def made(self) -> dict[str, Any]:
        """Return the row, made now where it is not there yet."""
        origin, run = self._origin(), self.run
        row = read_json(self.figures, ROW) if self.figures.exists() else {"signature": None}
        trained = self.student.exists()
        if trained and row["signature"] == origin.signature:
            if self.measures.auto_attack:
                STRONG_ROW.check(self.figures, row)
            run.say(f"{self.key}: already done from the same settings")
            return row
        if trained and origin.alike(row, MEASURING):
            self._check_auto_attack_stays(row)
            run.say(f"{self.key}: trained already, and measured anew")
        else:
            check_nothing_is_lost(run, self.key, origin, self.figures, row)
            with begun.noting(run, self.key, origin) as clock:
                row = self._trained_row(origin)
            row["seconds"] = clock.seconds
        begin = time.perf_counter()
        row = {key: row[key] for key in row if key != "auto_attack"}
        row |= {**origin.as_dict(), **self._measured(load_model(self.student))}
        row |= {"hardware": hardware(), "evaluation_seconds": time.perf_counter() - begin}
        write_json(self.figures, row)
        begun.end(run, self.key)
        return row

    def _check_auto_attack_stays(self, row: dict[str, Any]) -> None:
        """Raise UserError where AutoAttack, which takes hours, was run and is not asked for."""
        there = row.get("auto_attack")
        if there and not self.measures.auto_attack and not self.run.overwrite:
            raise UserError(
                f"{self.key}: {self.figures} holds AutoAttack of {there['n']} images, which other "
                f"measures would lose; give --auto-attack {there['n']} too, or --overwrite to give "
                "it up."
            )

    def _trained_row(self, origin: Origin) -> dict[str, Any]:
        """Train the student, keep it, and return what is known of it without measuring."""
        run = self.run
        run.path("compare").mkdir(exist_ok=True)
        self.figures.unlink(missing_ok=True)  # it would be of another student
        architecture = self._architecture()
        with run.strategy.scope():
            student = self._trained(architecture, origin.signature)
        run.forget()
        save_model(student, self.student)
        return {
            "method": self.name,
            "name": self.method.name,
            "adversarial": self.method.adversarial,
            "seed": self.seed,
            **origin.as_dict(),
            "parameters": architecture.parameters,
            "macs": architecture.macs,
            "widths": [list(widths) for widths in architecture.widths],
            "epochs": self.settings.epochs,
        }

    def _origin(self) -> Origin:
        run = self.run
        names = ["architecture.json", "teacher.keras"]
        outside = {}
        if self.method.adversarial:
            names.append(f"compare/{self.searched.name}")
        elif run.recipe.train.start == "supernet":
            names.append(SUPERNET)
        else:
            outside = {name: content_hash(path) for name, path in student_start(run).items()}
        inputs = {name: content_hash(run.path(name)) for name in names}
        values = run.recipe.model_dump(mode="json")
        told = {"data": values["data"], "views": run.recipe.views, "seed": run.recipe.seed}
        told["evaluation"] = values["evaluation"]
        settings = self.settings.made_from() | self.method.restored(self.settings)
        parts = [self.key, [*told.values()], settings, [*inputs.values()], vars(self.measures)]
        parts += [outside] if outside else []
        section = "finetune" if self.method.adversarial else "train"
        asked = {"radii": list(self.measures.radii), "auto-attack": self.measures.auto_attack}
        signature, held = run.signed(parts, self.figures, run.begun(self.key))
        return Origin(signature, {**told, section: settings, **asked}, inputs, outside | held)

    def _architecture(self) -> Architecture:
        outcome = SearchOutcome.load(self.run.path("search/outcome.json"))
        return self.method.architecture((self.run.architecture, outcome.teacher_layers), self.seed)

    def _trained(self, architecture: Architecture, signature: str) -> keras.Model:
        run, settings = self.run, self.settings
        seed_stage(self.seed, 7)
        if self.method.adversarial:
            student = load_model(self.searched)
        else:
            student = started_student(run, architecture)
        trainer = self.method.distiller(
            run.who_answers, student, architecture, run.recipe, settings, self.seed
        )
        trainer.compile(
            optimizer=sgd(settings, run.data.train.steps_per_epoch(settings.batch_size))
        )
        told = self.method.name
        fit_stage(run, self.key, signature, trainer, settings, told, cache=run.cache)
        return student

    def _measured(self, student: keras.Model) -> dict[str, Any]:
        radii, data = self.measures.radii, self.run.data.test
        images, labels = data.first(min(self.run.recipe.evaluation.n, len(data)))
        swept = [self._attacked(student, images, labels, "pgd", epsilon) for epsilon in radii]
        measured = {
            "n": len(images),
            "accuracy": swept[0].accuracy["clean"],
            "interval": swept[0].intervals["clean"],
            "pgd20": {
                "epsilon": list(radii),
                "accuracy": [found.accuracy["pgd20"] for found in swept],
                "intervals": [found.intervals["pgd20"] for found in swept],
            },
            "right": {
                "clean": as_text(swept[0].right["clean"]),
                "pgd20": [as_text(found.right["pgd20"]) for found in swept],
            },
        }
        if count := min(self.measures.auto_attack, len(images)):
            first = images[:count], labels[:count]
            strong = self._attacked(student, *first, "auto_attack", radii[-1])
            measured["auto_attack"] = {
                "n": count,
                "epsilon": radii[-1],
                "accuracy": strong.accuracy["auto_attack"],
                "interval": strong.intervals["auto_attack"],
            }
            measured["right"]["auto_attack"] = as_text(strong.right["auto_attack"])
        return measured

    def _attacked(
        self,
        student: keras.Model,
        images: np.ndarray,
        labels: np.ndarray,
        attack: str,
        epsilon: float,
    ) -> Evaluation:
        settings = {"attacks": (attack,), "epsilon": epsilon, "seed": self.run.recipe.seed}
        return evaluate(student, images, labels, check=0, **settings)[0]
