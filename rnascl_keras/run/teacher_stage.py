"""The teacher stage of a run where the teacher is trained, not read."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import keras

from rnascl_keras.run.fitting import fit_stage, seed_stage
from rnascl_keras.run.schedules import sgd
from rnascl_keras.run.starts import start_teacher, untrained_teacher
from rnascl_keras.run.workdir import Run
from rnascl_keras.teachers.adversarial_training import AdversarialTrainer
from rnascl_keras.teachers.drop_path import DropRate, GrowingDropRate
from rnascl_keras.teachers.natural_training import (
    NaturalTrainer,
    build_for_training,
    copy_shared_weights,
)


def train_teacher(run: Run, signature: str) -> keras.Model:
    """Train the recipe's teacher, adversarially but for method "natural"; return it in float32."""
    settings = run.recipe.teacher
    seed_stage(run.recipe.seed, 1)
    train = _train_naturally if settings.method == "natural" else _train_adversarially
    with _precision(settings.precision):
        trained = train(run, signature)
    if settings.precision == "float32" and settings.method != "natural":
        return trained
    deployed = untrained_teacher(run)
    copy_shared_weights(trained, deployed)
    return deployed


def _train_adversarially(run: Run, signature: str) -> keras.Model:
    """Return the best epoch's weights where there are validation images, else the last one's."""
    settings = run.recipe.teacher
    model = untrained_teacher(run)
    start_teacher(run, model)
    trainer = AdversarialTrainer(model, seed=run.recipe.seed, **settings.arguments())
    trainer.compile(optimizer=_optimizer(run))
    title = f"{settings.architecture or model.name}, {settings.method}"
    fit_stage(run, "teacher", signature, trainer, settings, title)
    return model


def _train_naturally(run: Run, signature: str) -> keras.Model:
    """Return the last epoch's network, with its auxiliary classifier and drop path where it has."""
    settings, data = run.recipe.teacher, run.data.train
    images = {"input_shape": data.input_shape, "classes": data.classes}
    network = settings.network_arguments() | images
    rate = DropRate() if settings.drop_path else None
    model = build_for_training(network, auxiliary=settings.auxiliary > 0, rate=rate)
    trainer = NaturalTrainer(
        model, auxiliary=settings.auxiliary, weight_decay=settings.weight_decay
    )
    trainer.compile(optimizer=_optimizer(run))
    growing = [GrowingDropRate(rate, settings.drop_path, settings.epochs)] if rate else []
    title = f"{settings.architecture}, on clean images"
    fit_stage(run, "teacher", signature, trainer, settings, title, growing)
    return model


def _optimizer(run: Run) -> keras.optimizers.Optimizer:
    settings = run.recipe.teacher
    return sgd(settings, run.data.train.steps_per_epoch(settings.batch_size))


@contextmanager
def _precision(policy: str) -> Iterator[None]:
    """Make layers under another dtype policy than the process's own."""
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(policy)
    try:
        yield
    finally:
        keras.config.set_dtype_policy(before)
