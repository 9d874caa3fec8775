"""What the report stage draws of a run."""

import math

import numpy as np

from rnascl_keras.recipe import load_recipe
from rnascl_keras.run.report_stage import _pictures
from rnascl_keras.run.workdir import Run


def test_the_temperature_that_is_drawn_is_the_recipe_s(whole_run, tiny):
    """Two epochs stand for a hundred: the second begins after fifty factors of exp(-0.01)."""
    settings = ["search.gumbel_temperature=2", "search.gumbel_decay=0.01"]
    run = Run(load_recipe(str(tiny), settings), whole_run.folder)
    drawn = _pictures(run).gumbel_temperature
    np.testing.assert_allclose(drawn, [2, 2 * math.exp(-0.01) ** 50])
