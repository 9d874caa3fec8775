"""Fitting a model as a stage of a run: seeded, announced, resumed where it was cut short."""

from __future__ import annotations

import sys

import keras
import tensorflow as tf

from rnascl_keras.data.share import WHOLE, Share
from rnascl_keras.distribution.replicas import synchronized_batch_norm
from rnascl_keras.errors import UserError
from rnascl_keras.run.checkpoint import Checkpoint, RestOfEpoch
from rnascl_keras.run.estimate import seconds_per_step
from rnascl_keras.run.stopping import StopRequest, stopped_by_sigterm
from rnascl_keras.run.workdir import Run
from rnascl_keras.settings import Training
from rnascl_keras.teachers.cache import TeacherCache
from rnascl_keras.teachers.early_stopping import RobustEarlyStopping
from rnascl_keras.units import duration


def seed_stage(run: Run, stage: int) -> None:
    """Make a stage's random numbers its own, whatever ran before it in this process."""
    keras.utils.set_random_seed(1000 * run.recipe.seed + stage)
    tf.config.experimental.enable_op_determinism()


def fit_stage(
    run: Run,
    stage: str,
    model: keras.Model,
    settings: Training,
    what: str,
    callbacks: list[keras.callbacks.Callback] | None = None,
    cache: TeacherCache | None = None,
) -> None:
    """Say what comes and how long it takes, go on from a checkpoint where there is one, fit.

    The batches are those of `cache` where the teacher's answers are in one. On SIGTERM the step is
    finished and saved.

    Args:
        run: whose strategy is in scope.
        stage: its name.
        model: compiled.
        settings: of the training; the batch size is that over all replicas.
        what: is trained, in a few words.
        callbacks: of `fit`; those that write files, on the chief only.
        cache: of what the teacher says.

    Raises:
        Stopped: SIGTERM came.
        UserError: the workers do not see the same files.
    """
    distribution = run.recipe.distribution
    steps = run.data.train.steps_per_epoch(settings.batch_size)
    stop = StopRequest(lambda noted: run.total(float(noted)) > 0)
    checkpoint = Checkpoint(
        run.checkpoint(stage),
        run.signatures[stage],
        every_steps=distribution.save_every_steps,
        steps_per_epoch=steps,
        stop=stop,
        say=lambda line: run.say(f"{stage}: {line}"),
    )
    first = checkpoint.restore(model)
    _check_same_position(run, first * steps + checkpoint.step)
    if run.is_chief:
        checkpoint.check_room(model, f"{stage}: what is saved on the way")
    stoppers = [c for c in callbacks or [] if isinstance(c, RobustEarlyStopping)]
    if first and any(c.is_over(model, first) for c in stoppers):
        run.say(f"{stage}: had stopped early after epoch {first}")
        return
    if first or checkpoint.step:
        inside = f" and {checkpoint.step} steps" if checkpoint.step else ""
        run.say(f"{stage}: goes on after epoch {first}{inside} of {settings.epochs}")
    batches = _batches(run, settings.batch_size, cache, first, checkpoint.step)
    rest = [RestOfEpoch(first, steps - checkpoint.step)] if checkpoint.step else []
    held_out = run.data.validation
    # The step is traced as soon as it is timed, so batch normalisation is settled before.
    with (
        synchronized_batch_norm(model.classifier, distribution.synchronized_batch_norm),
        stopped_by_sigterm(stop.note),
    ):
        if first < settings.epochs:
            run.say(
                f"{stage}: {what}; {settings.epochs - first} epochs of {steps} batches of "
                f"{settings.batch_size} images{_on_replicas(run)}"
            )
            left = (settings.epochs - first) * steps - checkpoint.step
            seconds = seconds_per_step(model, batches) * left
            run.say(f"{stage}: about {duration(seconds)} on this machine")
        model.fit(
            batches,
            epochs=settings.epochs,
            initial_epoch=first,
            steps_per_epoch=steps,
            shuffle=False,
            validation_data=held_out.batches(settings.batch_size) if held_out else None,
            callbacks=[*rest, *(callbacks or []), checkpoint],
            verbose=_verbosity(run),
        )


def _verbosity(run: Run) -> int:
    """Return Keras' measure of it: a bar in a terminal, in a file a line for each epoch."""
    if not run.is_chief:
        return 0
    return 1 if sys.stdout.isatty() else 2


def _batches(
    run: Run, batch_size: int, cache: TeacherCache | None, epoch: int, step: int
) -> tf.data.Dataset | tf.distribute.DistributedDataset:
    """Return the batches from a step of an epoch on, dealt out to the strategy's replicas."""

    def of(share: Share) -> tf.data.Dataset:
        position = {"first_epoch": epoch, "first_step": step, "share": share}
        if cache:
            return cache.training_batches(batch_size, **position)
        settings = {"augmentation": run.recipe.data.augmentation, "seed": run.recipe.seed}
        return run.data.train.training_batches(batch_size, **settings, **position)

    def of_host(context: tf.distribute.InputContext) -> tf.data.Dataset:
        count = context.num_replicas_in_sync // context.num_input_pipelines
        first = context.input_pipeline_id * count
        return of(Share(context.num_replicas_in_sync, first, count))

    if run.strategy.num_replicas_in_sync == 1:
        return of(WHOLE)
    return run.strategy.distribute_datasets_from_function(of_host)


def _check_same_position(run: Run, position: int) -> None:
    """Raise UserError where another worker would go on from another step."""
    if run.total(position) != position * run.workers:
        raise UserError(
            f"the workers do not see the same files in {run.workdir}: it has to be a folder that "
            "all hosts share; give it with --workdir."
        )


def _on_replicas(run: Run) -> str:
    replicas = run.strategy.num_replicas_in_sync
    return f" on {replicas} replicas" if replicas > 1 else ""
