"""What the report stage draws of a run."""

import math

import numpy as np
from tiny_models import least_squares

from rnascl_keras.recipe import load_recipe
from rnascl_keras.run.pictured import LOOKED_AT, pictured
from rnascl_keras.run.report_stage import _pictures
from rnascl_keras.run.workdir import Run


def test_the_temperature_that_is_drawn_is_the_recipe_s(whole_run, tiny):
    """Two epochs stand for a hundred: the second begins after fifty factors of exp(-0.01)."""
    settings = ["search.gumbel_temperature=2", "search.gumbel_decay=0.01"]
    run = Run(load_recipe(str(tiny), settings), whole_run.folder)
    drawn = _pictures(run).gumbel_temperature
    np.testing.assert_allclose(drawn, [2, 2 * math.exp(-0.01) ** 50])


def test_the_images_that_were_fooled_really_were(tiny, tmp_path):
    run = Run(load_recipe(str(tiny)), tmp_path)
    train = run.data.train
    student = least_squares(*train.first(len(train)))
    shown = pictured(run, student)
    fooled = shown.fooled
    images, labels = run.data.test.first(LOOKED_AT)
    np.testing.assert_array_equal(fooled.images, images[fooled.rows])
    assert np.abs(fooled.attacked - fooled.images).max() <= 0.1 + 1e-6
    assert len(fooled.rows) > 0
    answers = [np.argmax(student(x), axis=-1) for x in (fooled.images, fooled.attacked)]
    np.testing.assert_array_equal(answers[0], labels[fooled.rows])
    np.testing.assert_array_equal(answers[1], fooled.answers)
    assert np.all(answers[1] != labels[fooled.rows])
    assert len(shown.images) == len(shown.labels) == 8
    np.testing.assert_array_equal(shown.images[0], fooled.images[0])
    np.testing.assert_array_equal(shown.images[1], fooled.attacked[0])
