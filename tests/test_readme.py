"""What the README shows runs as printed, and what it names exists."""

from __future__ import annotations

import os
import re
import shlex
import tomllib
from pathlib import Path

import numpy as np
import pytest
from small_onnx import CONVOLUTIONS, write_small_onnx
from test_guides import BLOCK

from rnascl_keras.recipe import load_recipe

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text()
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
BLOCKS = BLOCK.findall(README)


def lines(*programs: str) -> list[list[str]]:
    """Return the words of the README's commands that begin with one of these."""
    shell = "\n".join(text for language, text in BLOCKS if language == "sh")
    commands = [shlex.split(line, comments=True) for line in shell.splitlines()]
    return [words for words in commands if words and words[0] in programs]


def test_every_command_is_of_a_program_that_a_test_knows():
    known = len(lines("pip", "make", "rnascl"))
    assert known == sum(text.strip().count("\n") + 1 for lang, text in BLOCKS if lang == "sh")


def test_the_python_example_runs_and_finds_about_what_the_table_says(monkeypatch):
    if not os.environ.get("TFDS_DATA_DIR"):
        pytest.skip("TFDS_DATA_DIR does not say where CIFAR-10 is")
    (block,) = [text for language, text in BLOCKS if language == "python"]
    names: dict = {}
    exec(compile(block, "README.md", "exec"), names)
    (row,) = re.findall(r"^\| `cifar10_s3`.*$", README, re.MULTILINE)
    clean, pgd = (float(cell) / 100 for cell in row.split("|")[5:7])
    figures = names["figures"]
    assert figures.n == 100
    # five standard deviations of a share of a hundred are 0.25
    assert figures.accuracy["clean"] == pytest.approx(clean, abs=0.25)
    assert figures.accuracy["pgd20"] == pytest.approx(pgd, abs=0.25)


def test_the_commands_run(tmp_path, monkeypatch, rnascl):
    """Those marked long are recipes that load; what they run, other tests run."""
    monkeypatch.chdir(tmp_path)
    write_small_onnx("model.onnx", f"n = Identity(x) {CONVOLUTIONS}")
    random = np.random.default_rng(0)
    np.savez("images.npz", x=random.random((30, 8, 8, 3), np.float32), y=np.arange(30) % 5)
    photos(tmp_path / "photos", random)
    for _, command, *words in lines("rnascl"):
        if command == "run":
            assert load_recipe(words[0]).data.source == str(tmp_path / "photos")
            continue
        result = rnascl(command, *words)
        assert result.code == 0, f"{command}: {result.err}"
    assert (tmp_path / "page.html").exists()


def photos(folder: Path, random: np.random.Generator) -> None:
    """Save pictures of three classes."""
    from PIL import Image

    for name in ("cats", "dogs", "ships"):
        (folder / name).mkdir(parents=True)
        for k in range(40):
            pixels = random.integers(0, 256, (64, 64, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(folder / name / f"{k}.jpg")


def test_what_is_to_be_installed_and_made_exists():
    with open(ROOT / "pyproject.toml", "rb") as file:
        project = tomllib.load(file)["project"]
    for *_, wanted in lines("pip"):
        name, _, extra = wanted.rstrip("]").partition("[")
        assert name == project["name"] and extra in ("", *project["optional-dependencies"])
    targets = re.findall(r"^(\w[\w-]*):", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert {words[1] for words in lines("make")} <= set(targets)


def test_every_recipe_that_the_pages_name_exists():
    text = "\n".join(page.read_text() for page in PAGES)
    named = set(re.findall(r"rnascl (?:run|search|derive) (?!RECIPE|mine)(\w+)", text))
    assert {"digits", "cifar10_s3_quick"} <= named
    for name in named:
        load_recipe(name)


def test_every_file_that_the_readme_links_exists():
    linked = re.findall(r"\]\((?!https?:)([^)#]+)", README)
    assert len(linked) > 10
    assert [path for path in linked if not (ROOT / path).exists()] == []


def test_the_example_of_an_own_recipe_is_a_recipe(tmp_path):
    (block,) = re.findall(r"```python\n(.*?)```", (ROOT / "docs/running.md").read_text(), re.DOTALL)
    path = tmp_path / "mine.py"
    path.write_text(block)
    recipe = load_recipe(str(path))
    assert recipe.name == "mine" and recipe.search_space.depths == (2, 3)
