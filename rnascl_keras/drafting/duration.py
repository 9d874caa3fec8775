"""About how long a run will take on this machine: two networks are timed, and the rest counted."""

from __future__ import annotations

import time

import keras
import tensorflow as tf

from rnascl_keras.drafting.facts import Facts
from rnascl_keras.method.architecture import Architecture
from rnascl_keras.models.saving import load_model
from rnascl_keras.models.starting import for_other_images
from rnascl_keras.recipe import Recipe
from rnascl_keras.run.starts import start_file
from rnascl_keras.teachers import build_teacher
from rnascl_keras.teachers.included import teacher_file

TIMED = 32
"""Images that a network is timed on."""
TRAINED = 3
"""Passes forward that training on an image costs: there, back, and back to the weights."""
ATTACKED = 2 * 31
"""Passes of FGSM, PGD-20 and MI-FGSM on an image, and back."""
SWEPT_IMAGES, SWEPT = 200, 4 * 2 * 20
"""Images, and passes on each, of an evaluation over several radii."""
CHECKED = 600
"""Passes on an image that is looked at for false robustness, most of them Square's."""
FASTER = 2
"""Of onnxruntime's attacks, over Keras' own; 1.4 to 2.5 were measured."""
STARTS = 120
"""Seconds that the stages take to be set up and traced, exported and checked."""


def seconds(recipe: Recipe, facts: Facts) -> float:
    """Return about how many seconds `rnascl run` will take for the recipe."""
    size = recipe.data.image_size
    shape = (size, size, 3) if size else facts.splits.train.input_shape
    teacher = _seconds_of_an_image(_teacher(recipe, shape, facts.classes), shape)
    space = recipe.search_space
    largest = Architecture(
        space=space,
        widths=tuple(map(tuple, space.widths_everywhere(max))),
        input_shape=shape,
        classes=facts.classes,
    )
    student = _seconds_of_an_image(largest.build(), shape)
    images, tested = facts.train - recipe.data.validation, recipe.evaluation
    trained = 0 if recipe.teacher.weights else recipe.teacher.epochs * 2 * TRAINED
    tested_once = tested.n * ATTACKED + min(tested.n, SWEPT_IMAGES) * SWEPT + tested.check * CHECKED
    tested_once /= FASTER if tested.engine == "onnxruntime" else 1
    of_teacher = images * (trained + recipe.views) + tested_once
    # the supernet is passed for its weights and for its choices; int8 files are attacked too
    of_student = images * TRAINED * (2 * recipe.search.epochs + 2 * recipe.train.epochs)
    of_student += 2 * tested_once
    return STARTS + teacher * of_teacher + student * of_student


def _teacher(recipe: Recipe, shape: tuple[int, int, int], classes: int) -> keras.Model:
    settings = recipe.teacher
    if settings.architecture:
        return build_teacher(**settings.network_arguments(), input_shape=shape, classes=classes)
    if settings.weights:
        given = load_model(teacher_file(settings.weights))
    else:
        given = load_model(start_file("teacher.start", str(settings.start)))
    return for_other_images(given, shape, classes)


def _seconds_of_an_image(model: keras.Model, shape: tuple[int, int, int]) -> float:
    """Return what a pass forward takes, the faster of two after the first."""
    images = tf.zeros((TIMED, *shape))
    forward = tf.function(lambda x: model(x, training=False))
    taken = []
    for _ in range(3):
        start = time.perf_counter()
        forward(images).numpy()
        taken.append(time.perf_counter() - start)
    return min(taken[1:]) / TIMED
