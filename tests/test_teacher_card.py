"""The cards of the teachers that come with the package say what was measured of their files."""

from __future__ import annotations

import numpy as np

from benchmarks import teacher_card
from rnascl_keras.files.whole import read_json
from rnascl_keras.models.included import included
from rnascl_keras.models.saving import load_model
from rnascl_keras.recipe import load_recipe


def test_the_card_says_what_was_measured_of_this_file():
    """To write it anew: python -m benchmarks.teacher_card cifar10."""
    for name, file in included("teachers").items():
        assert file.with_suffix(".md").read_text() == teacher_card.card(name)


def test_the_recipe_that_is_named_makes_it_again():
    for name, file in included("teachers").items():
        made = read_json(teacher_card.RESULTS / f"{name}_run.json")
        recipe = load_recipe(made["recipe"])
        told = {key: recipe.teacher.model_dump(mode="json")[key] for key in made["teacher"]}
        assert (recipe.seed, told) == (made["seed"], made["teacher"])
        assert file.stat().st_size <= teacher_card.MOST_BYTES


def test_a_packed_teacher_that_would_be_too_large_has_its_weights_rounded(tmp_path, monkeypatch):
    trained = included("teachers")["cifar10_small"]
    for name in ("TEACHERS", "RESULTS"):
        monkeypatch.setattr(teacher_card, name, tmp_path)
    monkeypatch.setattr(teacher_card, "MOST_BYTES", trained.stat().st_size // 2)
    teacher_card.pack("own", "cifar10_teacher", trained)
    assert read_json(tmp_path / "own_run.json")["stored"] == "float16"
    whole, packed = (load_model(file).get_weights() for file in (trained, tmp_path / "own.keras"))
    for expected, found in zip(whole, packed, strict=True):
        np.testing.assert_array_equal(found, expected.astype(np.float16).astype(np.float32))
