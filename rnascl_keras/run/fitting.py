"""Fitting a model as a stage of a run: seeded, announced, resumed where it was cut short."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any

import keras
import tensorflow as tf

from rnascl_keras.distribution.replicas import synchronized_batch_norm
from rnascl_keras.errors import Diverged, UserError
from rnascl_keras.hardware import hardware
from rnascl_keras.method.early_stopping import RobustEarlyStopping
from rnascl_keras.method.kept_weights import KeepsWeights
from rnascl_keras.progress import fit_verbosity
from rnascl_keras.run.begun import note_divergence
from rnascl_keras.run.checkpoint import Checkpoint, RestOfEpoch
from rnascl_keras.run.divergence import StopsWhenDiverged
from rnascl_keras.run.estimate import seconds_per_step
from rnascl_keras.run.feeding import Batches, batches_of
from rnascl_keras.run.stopping import StopRequest, stopped_by_sigterm
from rnascl_keras.run.tracking import TrackedTraining, tracked
from rnascl_keras.run.workdir import Run
from rnascl_keras.section import SEEDS
from rnascl_keras.settings import Search, Training
from rnascl_keras.teachers.cache import TeacherCache
from rnascl_keras.units import counted, duration

UNUSED = 0.1
"""Part of the images that may be left out of an epoch without a word."""


def seed_stage(seed: int, stage: int) -> None:
    """Make a training's random numbers its own, whatever ran before it in this process.

    Besides, what is computed is the same each time; on one GPU Keras otherwise compiles by XLA.

    Args:
        seed: of the run, or of a comparison's row.
        stage: number of the training, another for each that may be of one seed.
    """
    keras.utils.set_random_seed((1000 * seed + stage) % SEEDS)
    tf.config.experimental.enable_op_determinism()


def fit_stage(
    run: Run,
    stage: str,
    signature: str,
    model: keras.Model,
    settings: Training,
    what: str,
    callbacks: Sequence[keras.callbacks.Callback] = (),
    cache: TeacherCache | None = None,
) -> None:
    """Say what comes and how long it takes, go on from a checkpoint where there is one, fit.

    The batches are those of `cache` where the teacher's answers are in one. On SIGTERM the step is
    finished and saved. A model that keeps its best epoch is validated after each, where images are
    held out; at the end it has the weights that it has kept.

    Args:
        run: whose strategy is in scope.
        stage: its name.
        signature: of all from which the stage is made; a checkpoint of another one is left alone.
        model: compiled; a `CrossLayerSearch`, or one that keeps weights.
        settings: of the training; the batch size is that over all replicas.
        what: is trained, in a few words.
        callbacks: of `fit`; those that write files, on the chief only.
        cache: of what the teacher says.

    Raises:
        Stopped: SIGTERM came.
        Diverged: loss or weights are not finite any more; what was saved before stays.
        UserError: the workers do not see the same files.
    """
    _Fit(run, stage, signature, model, settings).fit(what, callbacks, cache)


class _Fit:
    """The fitting of a stage, put where it was cut short."""

    def __init__(
        self, run: Run, stage: str, signature: str, model: keras.Model, settings: Training
    ) -> None:
        self.run, self.stage, self.model, self.settings = run, stage, model, settings
        self.steps = run.data.train.steps_per_epoch(settings.batch_size)
        self.stop = StopRequest(lambda noted: run.total(float(noted)) > 0)
        self.checkpoint = Checkpoint(
            run.checkpoint(stage),
            signature,
            every_steps=run.recipe.distribution.save_every_steps,
            steps_per_epoch=self.steps,
            stop=self.stop,
            say=self.say,
        )
        self.checkpoint.restore(model)
        self.epoch, self.step = self.checkpoint.epoch, self.checkpoint.step
        _check_same_position(run, self.epoch * self.steps + self.step)
        if run.is_chief:
            self.checkpoint.check_room(model, f"{stage}: what is saved on the way")

    def say(self, line: str) -> None:
        self.run.say(f"{self.stage}: {line}")

    def fit(
        self,
        what: str,
        callbacks: Sequence[keras.callbacks.Callback],
        cache: TeacherCache | None,
    ) -> None:
        run, epochs, batch_size = self.run, self.settings.epochs, self.settings.batch_size
        stopping = self._early_stopping()
        if self._had_stopped_early(stopping):
            self._finish()
            return
        if self.epoch or self.step:
            inside = f" and {self.step} steps" if self.step else ""
            self.say(f"goes on after epoch {self.epoch}{inside} of {epochs}")
        batches = batches_of(run, batch_size, cache, self.epoch, self.step)
        held_out = run.data.validation
        synchronized = run.recipe.distribution.synchronized_batch_norm
        # The step is traced as soon as it is timed, so batch normalisation is settled before.
        with (
            synchronized_batch_norm(self.model.network, synchronized),
            stopped_by_sigterm(self.stop.note),
            cache.told() if cache else nullcontext(),
            self._tracked() as written,
            self._telling_of_memory(),
        ):
            if self.epoch < epochs:
                self._announce(what, batches)
            try:
                self.model.fit(
                    batches,
                    epochs=epochs,
                    initial_epoch=self.epoch,
                    steps_per_epoch=self.steps,
                    shuffle=False,
                    validation_data=held_out.batches(batch_size) if held_out else None,
                    callbacks=self._callbacks([*callbacks, *written], stopping),
                    verbose=_verbosity(run),
                )
            except Diverged as error:
                if run.is_chief:
                    note_divergence(run, self.stage)
                raise self._diverged(error) from error
        self._finish()

    def _callbacks(
        self, given: Sequence[keras.callbacks.Callback], stopping: RobustEarlyStopping | None
    ) -> list[keras.callbacks.Callback]:
        """Return those of `fit`, in an order in which none writes what is not finite, and what is
        saved is the state after all others."""
        rest = [RestOfEpoch(self.epoch, self.steps - self.step)] if self.step else []
        own = [stopping] if stopping else []
        return [StopsWhenDiverged(), *rest, *given, *own, self.checkpoint]

    def _tracked(self) -> AbstractContextManager[list[keras.callbacks.Callback]]:
        """Return what writes the training down where `--log` says, where any of it is left."""
        begun, over = bool(self.epoch or self.step), self.epoch >= self.settings.epochs
        training = TrackedTraining(
            self.stage, self._section, self.settings, self.checkpoint.signature, goes_on=begun
        )
        return tracked(() if over or not self.run.is_chief else self.run.log, self.run, training)

    def _early_stopping(self) -> RobustEarlyStopping | None:
        """Return what keeps the best epoch, where that is wanted and images are held out."""
        if self.run.data.validation is None or getattr(self.model, "best", None) is None:
            return None
        return RobustEarlyStopping(getattr(self.settings, "patience", None), self.run.say)

    def _finish(self) -> None:
        """Give the model the weights that it has kept."""
        if not isinstance(self.model, KeepsWeights):
            return
        self.model.finish()
        best = self.model.best
        if best is not None and best.epoch.numpy() >= 0:
            epoch, score = best.epoch.numpy(), best.score.numpy()
            self.say(f"epoch {epoch + 1:.0f} is kept, validation PGD accuracy {score:.1%}")

    def _had_stopped_early(self, stopping: RobustEarlyStopping | None) -> bool:
        if not self.epoch or stopping is None or not stopping.is_over(self.model, self.epoch):
            return False
        self.say(f"had stopped early after epoch {self.epoch}")
        return True

    @property
    def _section(self) -> str:
        """The recipe's section of the training; a row of a comparison has a name of its own."""
        sections = self.run.recipe.trainings()
        own = (name for name, settings in sections if settings is self.settings)
        return next(own, self.stage)

    def _say_what_is_unused(self) -> None:
        """Say so where whole batches leave out many of the images, and what leaves out fewer."""
        images, batch_size = len(self.run.data.train), self.settings.batch_size
        unused = images - self.steps * batch_size
        if unused < UNUSED * images:
            return
        replicas = self.run.strategy.num_replicas_in_sync
        sizes = range(batch_size - batch_size % replicas, batch_size // 2, -replicas)
        better = min(sizes, key=lambda size: images % size)
        self.say(
            f"{unused} of the {images} images are left out of each epoch, others each time, for "
            f"they fill no batch of {batch_size}; {self._section}.batch_size={better} leaves out "
            f"{images % better}"
        )

    def _diverged(self, error: Diverged) -> Diverged:
        """Say which setting to lower, and what is still there."""
        rates = ["learning_rate"]
        rates += ["architecture_learning_rate"] if isinstance(self.settings, Search) else []
        named = [f"{self._section}.{rate} ({getattr(self.settings, rate):g} now)" for rate in rates]
        path = self.checkpoint.path
        kept = f"; {path} keeps what was finite last" if path.exists() else ""
        return Diverged(
            f"{self.stage} has diverged: {error}; lower {' or '.join(named)} and give the same "
            f"command again{kept}."
        )

    @contextmanager
    def _telling_of_memory(self) -> Iterator[None]:
        """Say what to do where a device's memory does not hold what a step computes."""
        try:
            yield
        except tf.errors.ResourceExhaustedError as error:
            if "OOM" not in str(error):  # a disk is told elsewhere
                raise
            raise UserError(
                f"{self.stage}: {hardware()} has no memory left for a step of "
                f"{self.settings.batch_size} images; lower {self._section}.batch_size, or end what "
                "else holds it, and give the command again."
            ) from error

    def _announce(self, what: str, batches: Batches) -> None:
        """Say what is trained, and about how long that takes, measured now."""
        left = self.settings.epochs - self.epoch
        self.say(
            f"{what}; {counted(left, 'epoch')} of {counted(self.steps, 'batch', 'es')} of "
            f"{self.settings.batch_size} images{_on_replicas(self.run)}"
        )
        self._say_what_is_unused()
        seconds = seconds_per_step(self.model, batches) * (left * self.steps - self.step)
        self.say(f"about {duration(seconds)} on {hardware()}")


def _verbosity(run: Run) -> Any:
    """Return Keras' measure of it: a bar in a terminal, in a file a line for each epoch.

    It is a number, which the type of `fit`, made from its default, does not allow for.
    """
    return fit_verbosity() if run.is_chief else 0


def _check_same_position(run: Run, position: int) -> None:
    """Raise UserError where another worker would go on from another step."""
    if round(run.total(position)) != position * run.workers:  # a sum of a part for each device
        raise UserError(
            f"the workers do not see the same files in {run.workdir}: it has to be a folder that "
            "all hosts share; give it with --workdir."
        )


def _on_replicas(run: Run) -> str:
    replicas = run.strategy.num_replicas_in_sync
    return f" on {replicas} replicas" if replicas > 1 else ""
