"""A run's own few things: who speaks, the names of its stages."""

import pytest

from rnascl_keras.recipe import load_recipe
from rnascl_keras.run.stage_table import STAGES
from rnascl_keras.run.stamps import STAGE_NAMES
from rnascl_keras.run.workdir import Run


@pytest.mark.parametrize("chief", [True, False])
def test_the_chief_alone_speaks(chief, tmp_path, monkeypatch):
    said = []
    run = Run(load_recipe("digits"), tmp_path, listener=said.append)
    monkeypatch.setattr(Run, "is_chief", chief)
    run.say("a line")
    assert said == ["a line"] * chief


def test_the_names_are_those_of_the_stages_in_their_order():
    assert tuple(stage.name for stage in STAGES) == STAGE_NAMES
