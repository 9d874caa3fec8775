"""The list of rivals: what it says of each row, and that its commands are ours."""

from __future__ import annotations

import json
import shlex

import pytest

from rnascl_keras.comparison.published_results import TABLE_1
from rnascl_keras.comparison.rival_rows import NOT_TO_BE_HAD, RIVALS
from rnascl_keras.recipe import load_recipe, recipe_names


def test_every_row_has_a_recipe_or_says_that_it_cannot_be_had():
    for rival in RIVALS:
        if rival.recipe is None:
            assert rival.remark == NOT_TO_BE_HAD
        else:
            assert load_recipe(rival.recipe).space is None
            assert shlex.split(rival.command)[2] == rival.recipe
    made = {rival.recipe for rival in RIVALS} | {"rival_darts_natural"}
    assert made - {None} == {name for name in recipe_names() if name.startswith("rival_")}


def test_the_papers_figure_has_the_same_figures():
    rows = {rival.title: rival for rival in RIVALS}
    for point in TABLE_1:
        if point.name.startswith("Hydra"):
            figures = rows[point.name].adversarial
            assert (figures.clean, figures.pgd20) == (point.clean, point.pgd20)
            assert rows[point.name].macs == point.macs


def test_published_and_counted_figures_are_listed(rnascl):
    shown = " ".join(rnascl("rivals").out.split())
    assert all(rival.title in shown for rival in RIVALS)
    for words in ("83.75 55.75 44.91 51.63", "3.3 / 3.35", "500 / 528", "no adv. training"):
        assert words in shown
    assert shown.count(NOT_TO_BE_HAD) == 3


def test_what_was_measured_stands_below(rnascl, tmp_path):
    row = {"network": "darts:8:8", "n": 200, "epsilon": 8 / 255, "epochs": 3}
    row |= {"accuracy": {"clean": 0.512, "pgd20": 0.234}, "parameters": 123_456, "macs": 7_890_000}
    path = tmp_path / "networks.json"
    path.write_text(json.dumps({"rows": [row]}))
    shown = rnascl("rivals", "--measured", path).out
    for words in ("darts:8:8", "51.2", "23.4", "123 k", "7.89 M", "8/255"):
        assert words in shown


@pytest.mark.parametrize("content", [None, "{}", '{"rows": [{"method": "kl"}]}'])
def test_another_file_is_refused(content, rnascl, tmp_path):
    path = tmp_path / "other.json"
    if content is not None:
        path.write_text(content)
    result = rnascl("rivals", "--measured", path)
    assert result.code == 2 and "compare-networks" in result.err
