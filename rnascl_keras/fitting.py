"""Fitting a model as a stage of a run: seeded, announced, resumed where it was cut short."""

from __future__ import annotations

import keras
import tensorflow as tf

from rnascl_keras.callbacks import Checkpoint
from rnascl_keras.estimate import seconds_per_step
from rnascl_keras.settings import Training
from rnascl_keras.summary import duration
from rnascl_keras.teachers.cache import TeacherCache
from rnascl_keras.teachers.early_stopping import RobustEarlyStopping
from rnascl_keras.workdir import Run


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

    The batches are those of `cache` where the teacher's answers are in one.
    """
    checkpoint = Checkpoint(run.checkpoint(stage), run.signatures[stage])
    stoppers = [c for c in callbacks or [] if isinstance(c, RobustEarlyStopping)]
    first = checkpoint.restore(model)
    data = run.data.train
    steps = data.steps_per_epoch(settings.batch_size)
    if cache:
        batches = cache.training_batches(settings.batch_size, first_epoch=first)
    else:
        batches = data.training_batches(
            settings.batch_size,
            augmentation=run.recipe.data.augmentation,
            seed=run.recipe.seed,
            first_epoch=first,
        )
    if first and any(c.is_over(model, first) for c in stoppers):
        run.say(f"{stage}: had stopped early after epoch {first}")
        return
    if first:
        run.say(f"{stage}: goes on after epoch {first} of {settings.epochs}")
    if first < settings.epochs:
        run.say(
            f"{stage}: {what}; {settings.epochs - first} epochs of {steps} batches of "
            f"{settings.batch_size} images"
        )
        seconds = seconds_per_step(model, batches) * steps * (settings.epochs - first)
        run.say(f"{stage}: about {duration(seconds)} on this machine")
    held_out = run.data.validation
    model.fit(
        batches,
        epochs=settings.epochs,
        initial_epoch=first,
        steps_per_epoch=steps,
        shuffle=False,
        validation_data=held_out.batches(settings.batch_size) if held_out else None,
        callbacks=[*(callbacks or []), checkpoint],
    )
