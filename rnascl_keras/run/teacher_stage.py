"""The teacher stage of a run where the teacher is trained, not read."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import keras

from rnascl_keras.run.fitting import fit_stage, seed_stage
from rnascl_keras.run.schedules import sgd
from rnascl_keras.run.workdir import Run
from rnascl_keras.teachers import build_teacher
from rnascl_keras.teachers.adversarial_training import AdversarialTrainer
from rnascl_keras.teachers.early_stopping import RobustEarlyStopping


def train_teacher(run: Run) -> keras.Model:
    """Train the recipe's teacher adversarially; return the best epoch's weights, in float32."""
    settings, data = run.recipe.teacher, run.data.train
    what = {
        "architecture": settings.architecture,
        "input_shape": data.input_shape,
        "classes": data.classes,
        "mean": settings.mean,
        "std": settings.std,
        "width": settings.width,
    }
    seed_stage(run, 1)
    with _precision(settings.precision):
        model = build_teacher(**what)
        trainer = AdversarialTrainer(
            model,
            method=settings.method,
            epsilon=settings.epsilon,
            steps=settings.steps,
            step_size=settings.step_size,
            trades_beta=settings.trades_beta,
            average=settings.average,
            weight_decay=settings.weight_decay,
            seed=run.recipe.seed,
        )
        trainer.compile(optimizer=sgd(settings, data.steps_per_epoch(settings.batch_size)))
        held_out = run.data.validation is not None
        stopping = [RobustEarlyStopping(settings.patience, run.say)] if held_out else []
        title = f"{settings.architecture}, {settings.method}"
        fit_stage(run, "teacher", trainer, settings, title, stopping)
    trainer.finish()
    if stopping:
        epoch, score = trainer.best.epoch.numpy(), trainer.best.score.numpy()
        run.say(f"teacher: epoch {epoch + 1:.0f} is kept, validation PGD accuracy {score:.1%}")
    if settings.precision == "float32":
        return model
    deployed = build_teacher(**what)
    deployed.set_weights(model.get_weights())
    return deployed


@contextmanager
def _precision(policy: str) -> Iterator[None]:
    """Make layers under another dtype policy than the process's own."""
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(policy)
    try:
        yield
    finally:
        keras.config.set_dtype_policy(before)
