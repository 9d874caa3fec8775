"""What the settings of a recipe with a cache have to do with each other."""

from __future__ import annotations

import pytest

from rnascl_keras.errors import UserError
from rnascl_keras.recipe import load_recipe


def test_the_views_are_those_that_the_longest_phase_goes_through(tiny):
    def views(*settings):
        return load_recipe(str(tiny), settings).views

    assert views() == 0
    assert views("cache.views=7") == 2
    assert views("cache.views=7", "train.epochs=5") == 5
    assert views("cache.views=7", "finetune.epochs=9") == 7
    assert views("cache.views=7", "finetune=null", "search.epochs=1") == 2


@pytest.mark.parametrize(
    "settings",
    [
        ["cache.views=1", "search.map_size=[4,4]"],
        [
            "search.map_size=[4,4]",
            "train.map_size=[4,4]",
            "finetune.map_size=[4,2]",
            "cache.views=3",
        ],
    ],
)
def test_one_cache_has_maps_of_one_size(tiny, settings):
    with pytest.raises(UserError, match=r"search.map_size=\(4, 4\), .*cache.views=0") as caught:
        load_recipe(str(tiny), settings)
    assert "\n" not in str(caught.value)
    load_recipe(str(tiny), [s for s in settings if "cache" not in s])
    load_recipe(str(tiny), [*settings, "finetune=null", "train.map_size=[4,4]"])
