"""`rnascl show` and `rnascl settings`: every setting, with its value, and in words."""

from __future__ import annotations

import pytest

from rnascl_keras.assignments import flat_settings
from rnascl_keras.catalogue.settings_table import NEEDED, section_words, settings_table
from rnascl_keras.recipe import Recipe, load_recipe

TABLE = settings_table()
EVERY = [setting for settings in TABLE.values() for setting in settings]


def by_key(table):
    return {setting.key: setting for settings in table.values() for setting in settings}


def test_all_settings_are_there():
    dumped = load_recipe("digits").model_dump()
    assert {key for key, _ in flat_settings(dumped)} == {setting.key for setting in EVERY}


@pytest.mark.parametrize("setting", EVERY, ids=lambda setting: setting.key)
def test_every_setting_is_explained(setting):
    assert len(setting.meaning.split()) > 1
    assert "\n" not in setting.meaning


def test_every_section_is_explained():
    assert all(section_words(name) for name in TABLE)


def test_every_default_is_taken_by_set():
    """Those of sections; what a recipe has itself has none, or is a name."""
    given = [f"{s.key}={s.default}" for s in EVERY if "." in s.key]
    recipe = load_recipe("digits", given)
    for name in TABLE:
        if name != "recipe":
            section = Recipe.model_fields[name]
            kind = type(getattr(recipe, name))
            assert getattr(recipe, name) == kind(), section


def test_values_and_what_is_changed_follow_the_recipe_and_set():
    found = by_key(
        settings_table(load_recipe("digits", ["train.epsilon=4/255", "train.kl_weight=2"]))
    )
    assert (found["train.epsilon"].value, found["train.epsilon"].default) == ("4/255", "8/255")
    assert found["train.epsilon"].unit == "pixels of [0, 1]"
    assert found["train.kl_weight"].value == "2.0" and found["train.kl_weight"].changed
    assert found["teacher.epsilon"].value == "0.1"
    assert not found["train.momentum"].changed
    assert found["space"].default == NEEDED
    assert found["evaluation.attacks"].value == '["fgsm", "pgd", "mi_fgsm"]'
    assert "one of gumbel, normal" in found["search.noise"].meaning


def test_a_section_that_is_left_out_is_one_row():
    found = settings_table(load_recipe("digits", ["finetune=null"]))["finetune"]
    assert [(s.key, s.value, s.changed) for s in found] == [("finetune", "null", True)]


def test_show_marks_what_is_changed(rnascl, tiny):
    lines = rnascl("show", tiny, "--set", "export.calibration=99").out.splitlines()
    shown = [line.split() for line in lines]
    assert ["*", "calibration", "99"] in [words[:3] for words in shown]
    assert ["agreement", "0.95"] in [words[:2] for words in shown]
    assert "default 512" in " ".join(" ".join(words) for words in shown)


def test_settings_shows_the_defaults(rnascl):
    shown = [line.split() for line in rnascl("settings").out.splitlines()]
    assert ["calibration", "512"] in [words[:2] for words in shown]


def test_a_setting_that_is_none_is_refused(rnascl):
    assert rnascl("show", "digits", "--set", "train.epoch=1").code == 2
