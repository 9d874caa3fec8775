"""The models of a run as files, and the cache of what its teacher says."""

from __future__ import annotations

import keras

from rnascl_keras.method.architecture import Architecture, check_same_weights
from rnascl_keras.models.saving import load_model
from rnascl_keras.run.workdir import Run
from rnascl_keras.teachers import load_teacher
from rnascl_keras.teachers.cache import TeacherCache, open_cache


def teacher_of(run: Run) -> keras.Model:
    """Load the run's teacher."""
    data = run.data.train
    return load_teacher(
        run.path("teacher.keras"), input_shape=data.input_shape, classes=data.classes
    )


def cache_of(run: Run) -> TeacherCache | None:
    """Open the run's cache of what the teacher says; None where the recipe has none.

    Raises:
        UserError: it is damaged, or was made with other settings.
    """
    if not run.recipe.views:
        return None
    mend = f"`rnascl cache {run.arguments or run.recipe.name}`"
    arguments = run.recipe.cache_arguments()
    return open_cache(run.path("cache"), teacher_of(run), run.data.train, mend=mend, **arguments)


def asked_of(
    run: Run, cache: TeacherCache | None, aligned: bool = False
) -> keras.Model | TeacherCache:
    """Return whom a distillation asks: the run's `cache` where there is one, else the teacher; the
    teacher itself too where input gradients are `aligned` with its own, which no cache holds."""
    return cache if cache and not aligned else teacher_of(run)


def student_of(run: Run, name: str) -> keras.Model:
    """Load a student, and see that it has the architecture that `architecture.json` describes."""
    path = run.path(f"{name}.keras")
    model = load_model(path)
    check_same_weights(model, Architecture.load(run.path("architecture.json")), path)
    return model
