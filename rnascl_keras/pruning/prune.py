"""`rnascl prune`: a mask, the zeros written into a model, robust fine-tuning, files and figures."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import keras

from rnascl_keras.errors import UserError
from rnascl_keras.files.hashes import content_hash
from rnascl_keras.files.lock import locked
from rnascl_keras.files.whole import read_json, write_json
from rnascl_keras.models.saving import load_model, save_model
from rnascl_keras.pruning.admm import AdmmTrainer, Updates
from rnascl_keras.pruning.figures import PRUNED, measured, measured_by, print_figures
from rnascl_keras.pruning.hydra import HydraTrainer
from rnascl_keras.pruning.masks import held_at_zero, kept_weights, kernels, magnitude_masks, zero
from rnascl_keras.pruning.settings import Pruning
from rnascl_keras.pruning.structured import without_channels
from rnascl_keras.run import begun
from rnascl_keras.run.fitting import fit_stage, seed_stage
from rnascl_keras.run.lost_work import check_nothing_is_lost
from rnascl_keras.run.origin import Origin
from rnascl_keras.run.pipeline import run_stages
from rnascl_keras.run.schedules import sgd
from rnascl_keras.run.workdir import Run
from rnascl_keras.settings import Training
from rnascl_keras.teachers.adversarial_training import AdversarialTrainer


def prune_run(run: Run, name: str | None, settings: Pruning) -> dict[str, Any]:
    """Prune a model of a run, fine-tune it, write its files into `prune/`, and print its figures.

    What is there, made from the same settings, is not made again; what was cut short goes on. Where
    only the measuring has changed, or the int8 file's calibration, nothing is trained.

    Args:
        run: its data are trained on; the stages that its model needs are done where they are not.
        name: of the model: "teacher", "student" or "student_trades"; by default the last of them.
        settings: of the pruning.

    Returns:
        The content of `prune/<model>_<way>_<keep>.json`: how many weights are left, and what they
        are worth.

    Raises:
        UserError: the run has no such model, or work of other settings would be lost.
    """
    name = name or run.deployed[-1]
    known = ["teacher", *run.students]
    if name not in known:
        raise UserError(f"--model {name} is none of this run; expected one of {', '.join(known)}.")
    stages = ("teacher", "cache", "search", "derive", "train", "finetune")
    run_stages(run, stages[:1] if name == "teacher" else stages)
    run.check_one_host("prune")
    with locked(run.path(".stages/lock")):
        figures = _Pruned(run, name, settings).made()
    print_figures(figures)
    return figures


class _Pruned:
    """A pruned model, in the run's folder `prune/`."""

    def __init__(self, run: Run, name: str, settings: Pruning) -> None:
        self.run, self.name, self.settings = run, name, settings
        self.key = f"{name}_{settings.title()}"
        self.steps = {step: f"{self.key}_{step}" for step in ("mask", "tune")}
        """Under which names its trainings are saved."""
        self.names = (self.key, *self.steps.values())
        """Under which something may have been begun."""
        self.figures = run.path(f"prune/{self.key}.json")
        self.file = run.path(f"prune/{self.key}.keras")

    def made(self) -> dict[str, Any]:
        """Return its figures, made now where they are not there yet."""
        run, origin = self.run, self._origin()
        noted = read_json(self.figures, PRUNED) if self.figures.exists() else {"signature": None}
        same = noted["signature"] == origin.signature
        if not (self.file.exists() and origin.alike(noted, ("evaluation",))):
            model = self._trained(origin, noted)
        elif same and noted.get("measured_by") == measured_by(run):
            run.say(f"{self.key}: already done from the same settings")
            return noted
        else:
            run.say(f"{self.key}: trained already; its files and figures are made anew")
            write_json(self.figures, noted | {"measured_by": ""})  # they would be of other files
            model = load_model(self.file)
        found = measured(run, model, run.path("prune"), self.key)
        figures = {"model": self.name, **origin.as_dict(), **found}
        write_json(self.figures, figures)
        for name in self.names[::-1]:  # the whole last
            begun.end(run, name)
        return figures

    def _trained(self, origin: Origin, noted: dict[str, Any]) -> keras.Model:
        """Return the pruned model, trained and kept in its file."""
        run = self.run
        for name in self.names:
            check_nothing_is_lost(run, name, origin, self.figures, noted)
        run.path("prune").mkdir(exist_ok=True)
        self.figures.unlink(missing_ok=True)  # they would be of another model
        with self._noting(origin), run.strategy.scope():
            model = self._tuned(origin.signature)
        save_model(model, self.file)
        return model

    @contextmanager
    def _noting(self, origin: Origin) -> Iterator[None]:
        """Note what is begun, under the name of each step: so what is saved of any is known."""
        with ExitStack() as stack:
            for name in self.names:
                stack.enter_context(begun.noting(self.run, name, origin))
            yield

    def _origin(self) -> Origin:
        run, source = self.run, f"{self.name}.keras"
        inputs = {source: content_hash(run.path(source))}
        values = run.recipe.model_dump(mode="json")
        told = {key: values[key] for key in ("data", "seed", "evaluation")}
        told["prune"] = self.settings.made_from()
        notes = [self.figures, *map(run.begun, self.names)]
        signature, held = run.signed([self.key, told, inputs], *notes)
        return Origin(signature, told, inputs, held)

    def _tuned(self, signature: str) -> keras.Model:
        """Return the pruned model after its fine-tuning."""
        run, settings = self.run, self.settings
        seed_stage(run.recipe.seed, 8)
        model = load_model(run.path(f"{self.name}.keras"))
        if settings.structured:
            model = without_channels(model, settings.keep)
            self._fit(model, "tune", signature, settings)
            return model
        self._towards_a_mask(model, signature)
        masks = magnitude_masks(model, settings.keep)
        zero(kernels(model), masks)
        kept, all_weights = kept_weights(model)
        run.say(f"{self.key}: {kept:,} of {all_weights:,} weights are kept")
        with held_at_zero(kernels(model), masks):
            self._fit(model, "tune", signature, settings)
        return model

    def _towards_a_mask(self, model: keras.Model, signature: str) -> None:
        """Train what says which weights are the largest; by magnitude they are so already."""
        way, first = self.settings.way, self.settings.of_mask()
        if way == "hydra":
            self._fit(model, "mask", signature, first, HydraTrainer)
        elif way == "admm":
            self._fit(model, "mask", signature, first, AdmmTrainer, [Updates(first.epochs)])

    def _fit(
        self,
        model: keras.Model,
        step: str,
        signature: str,
        training: Training,
        kind: Any = AdversarialTrainer,
        callbacks: Any = (),
    ) -> None:
        """Train the model in place; the best epoch's weights are kept where they can be told."""
        run, arguments = self.run, self.settings.arguments()
        if not training.epochs:
            return
        if kind is not AdversarialTrainer:
            arguments["keep"] = self.settings.keep
        trainer = kind(model, seed=run.recipe.seed, **arguments)
        steps = run.data.train.steps_per_epoch(training.batch_size)
        trainer.compile(optimizer=sgd(training, steps))
        told = f"{self.settings.way}, {self.settings.keep:g} kept"
        fit_stage(run, self.steps[step], signature, trainer, training, told, callbacks)
