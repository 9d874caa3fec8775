"""What a training of a run begins with: the weights of another model, of other images."""

from __future__ import annotations

from pathlib import Path

import keras

from rnascl_keras.errors import UserError
from rnascl_keras.method.architecture import Architecture
from rnascl_keras.method.derive import copy_sliced_weights
from rnascl_keras.method.supernet import Supernet
from rnascl_keras.models.included import MODEL, included_or_given
from rnascl_keras.models.saving import load_model, load_weights
from rnascl_keras.models.starting import for_other_images, start_from
from rnascl_keras.run.workdir import Run
from rnascl_keras.section import STARTS
from rnascl_keras.teachers import build_teacher

SUPERNET = "search/supernet.weights.h5"
KINDS = {"teacher.start": ("teachers", "students"), "train.start": ("students",)}
"""Kinds of the package's models that each setting takes by name."""


def start_file(setting: str, start: str) -> Path:
    """Return the `.keras` file that a training starts from.

    Args:
        setting: what names it, "teacher.start" or "train.start", which begins an error's message.
        start: a path, `hf://...`, or the name of a model of `KINDS[setting]`.

    Raises:
        UserError: there is none, or it is of another kind, or it cannot be fetched.
    """
    file = included_or_given(setting, start, *KINDS[setting])
    if file.suffix != MODEL:
        raise UserError(f"{setting} takes a {MODEL} file; got {start}.")
    return file


def untrained_teacher(run: Run) -> keras.Model:
    """Return the network that the recipe's teacher is trained in, without saying so."""
    settings, data = run.recipe.teacher, run.data.train
    if settings.architecture:
        images = {"input_shape": data.input_shape, "classes": data.classes}
        return build_teacher(**settings.network_arguments(), **images)
    name, source = _started_from(run)
    return for_other_images(source, data.input_shape, data.classes, name)


def start_teacher(run: Run, model: keras.Model) -> None:
    """Begin with the weights that `teacher.start` names, where it does, and say how many."""
    if run.recipe.teacher.start:
        name, source = _started_from(run)
        run.say(f"teacher: starts from {name}: {start_from(model, source, name)}")


def student_start(run: Run) -> dict[str, Path]:
    """Return the file that the student starts from, under "start"; empty where it is none."""
    start = run.recipe.train.start
    return {} if start in STARTS else {"start": start_file("train.start", start)}


def started_student(run: Run, architecture: Architecture) -> keras.Model:
    """Return a student with the weights that `train.start` names; of a file it is said how many."""
    student, start = architecture.build(), run.recipe.train.start
    if start == "supernet":
        supernet = Supernet(architecture.space, architecture.input_shape, architecture.classes)
        load_weights(supernet, run.path(SUPERNET))
        copy_sliced_weights(supernet, student)
    for file in student_start(run).values():
        source = load_model(file)
        run.say(f"train: starts from {start}: {start_from(student, source, start)}")
    return student


def _started_from(run: Run) -> tuple[str, keras.Model]:
    start = str(run.recipe.teacher.start)
    return start, load_model(start_file("teacher.start", start))
