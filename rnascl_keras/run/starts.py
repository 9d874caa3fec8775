"""What a training of a run begins with: the weights of another model, of other images."""

from __future__ import annotations

from pathlib import Path

import keras

from rnascl_keras.errors import UserError
from rnascl_keras.models.hub import model_file
from rnascl_keras.models.included import included
from rnascl_keras.models.saving import load_model
from rnascl_keras.models.starting import for_other_images, start_from
from rnascl_keras.run.workdir import Run
from rnascl_keras.teachers import build_teacher
from rnascl_keras.teachers.included import teacher_file


def start_file(start: str) -> Path:
    """Return the file that `teacher.start` names: a `.keras` file, or an included teacher.

    Raises:
        UserError: there is none, or it is of another kind.
    """
    path = teacher_file(start, "teacher.start")
    if path.suffix != ".keras":
        raise UserError(f"teacher.start takes a .keras file; got {start}.")
    return path


def student_file(start: str) -> Path:
    """Return the file that `train.start` names: a path, one of the hub, or an included student.

    Raises:
        UserError: it is not there, or cannot be fetched.
    """
    own = included("students")
    if start in own:
        return own[start]
    file = model_file(start)
    if not file.is_file():
        raise UserError(f"train.start: there is no file {start}.")
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


def start_student(run: Run, student: keras.Model) -> None:
    """Begin with the weights of the file `train.start`, and say how many."""
    start = run.recipe.train.start
    source = load_model(student_file(start))
    run.say(f"train: starts from {start}: {start_from(student, source, start)}")


def _started_from(run: Run) -> tuple[str, keras.Model]:
    start = str(run.recipe.teacher.start)
    return start, load_model(start_file(start))
