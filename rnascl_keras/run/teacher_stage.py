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


def train_teacher(run: Run, signature: str) -> keras.Model:
    """Train the recipe's teacher adversarially; return the best epoch's weights, in float32."""
    settings, data = run.recipe.teacher, run.data.train
    images = {"input_shape": data.input_shape, "classes": data.classes}
    network = settings.network_arguments() | images
    seed_stage(run, 1)
    with _precision(settings.precision):
        model = build_teacher(**network)
        trainer = AdversarialTrainer(model, seed=run.recipe.seed, **settings.arguments())
        trainer.compile(optimizer=sgd(settings, data.steps_per_epoch(settings.batch_size)))
        title = f"{settings.architecture}, {settings.method}"
        fit_stage(run, "teacher", signature, trainer, settings, title)
    if settings.precision == "float32":
        return model
    deployed = build_teacher(**network)
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
