"""The README's Python runs as printed, and its figures' recipes exist."""

from __future__ import annotations

import re
from pathlib import Path

import keras
import numpy as np

from rnascl_keras.recipe import Recipe, load_recipe
from rnascl_keras.teachers.cache import TeacherCache

README = Path(__file__).parent.parent / "README.md"


def python_blocks() -> list[str]:
    return re.findall(r"```python\n(.*?)```", README.read_text(), flags=re.DOTALL)


def test_the_python_examples_run_and_the_student_learns(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    names: dict = {}
    for block in python_blocks()[:3]:
        exec(compile(block, "README.md", "exec"), names)
    assert isinstance(names["search"].teacher, TeacherCache)
    figures = names["figures"]
    assert figures.n == 200
    assert figures.accuracy["clean"] > 0.5  # ten classes
    assert 0 <= figures.accuracy["worst"] <= figures.accuracy["clean"]
    assert abs(names["adversarial"] - names["images"]).max() <= 0.1 + 1e-6
    loaded = keras.models.load_model("student.keras")
    images, _ = names["data"].test.first(10)
    np.testing.assert_allclose(loaded(images), names["student"](images), atol=1e-6)


def test_the_example_of_an_own_recipe_is_a_recipe(tmp_path):
    path = tmp_path / "mine.py"
    path.write_text(python_blocks()[3])
    recipe = load_recipe(str(path))
    assert isinstance(recipe, Recipe) and recipe.name == "mine"
    assert recipe.search_space.depths == (2, 3)


def test_every_recipe_that_the_readme_names_exists():
    shell = README.read_text()
    named = set(re.findall(r"rnascl (?:run|search|derive) (?!RECIPE)(\w+)", shell))
    assert {"digits", "cifar10_s3_quick"} <= named
    for name in named:
        load_recipe(name)
