"""The models of a run, read from its files, and the cache of what its teacher says."""

from __future__ import annotations

import keras

from rnascl_keras.files.hashes import content_hash, digest
from rnascl_keras.method.architecture import check_same_weights
from rnascl_keras.models.finite import check_finite
from rnascl_keras.models.saving import load_model
from rnascl_keras.run.workdir import Run
from rnascl_keras.teachers import load_teacher
from rnascl_keras.teachers.cache import TeacherCache
from rnascl_keras.teachers.cache.reading import open_whole
from rnascl_keras.teachers.cache.settings import CacheSettings


def read_teacher(run: Run) -> keras.Model:
    """Load the run's teacher.

    Raises:
        UserError: it cannot be read, does not fit the data, or holds NaN.
    """
    data = run.data.train
    path = run.path("teacher.keras")
    model = load_teacher(path, input_shape=data.input_shape, classes=data.classes)
    check_finite(model.variables, str(path), "make it again, or give another teacher.weights")
    return model


def read_student(run: Run, name: str) -> keras.Model:
    """Load a student, and see that it has the architecture that `architecture.json` describes.

    Raises:
        UserError: it cannot be read, has another architecture, or holds NaN.
    """
    path = run.path(f"{name}.keras")
    model = load_model(path)
    check_same_weights(model, run.architecture, path)
    check_finite(model.variables, str(path), "train it again with a lower learning rate")
    return model


def read_cache(run: Run) -> TeacherCache | None:
    """Open the run's cache of what the teacher says; None where the recipe has none.

    Raises:
        UserError: it is damaged, or was made with other settings.
    """
    if not run.recipe.views:
        return None
    mend = f"`{run.command_line('cache')}`"
    return open_whole(run.path("cache"), run.data.train, cache_settings(run), mend=mend)


def cache_settings(run: Run) -> CacheSettings:
    """Return what the run's cache is made from.

    The teacher is read for that, but only once: what was found of a file of the same content holds.
    """
    recipe = run.recipe
    chosen = {
        "views": recipe.views,
        "augmentation": recipe.data.augmentation,
        "seed": recipe.seed,
        "taps": recipe.search.taps,
        "map_size": recipe.search.map_size,
        "gradients": recipe.caches_gradients,
    }
    key = digest([content_hash(run.path("teacher.keras")), chosen])
    if key not in run.cache_settings:
        run.cache_settings[key] = CacheSettings.of(run.teacher, run.data.train, **chosen)
    return run.cache_settings[key]
