"""CONTRIBUTING's map of the folders: all are on it, said as they say themselves, in order."""

from __future__ import annotations

import ast
import re
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PLACES = ("rnascl_keras", "export", "recipes", "benchmarks")

Map = dict[str, str]


@pytest.fixture(scope="module")
def drawn() -> Map:
    """Return what the map says of each place, in its order: {"rnascl_keras/run/": "One ..."}."""
    text = (ROOT / "CONTRIBUTING.md").read_text()
    (block,) = re.findall(r"^## Map$.*?```\n(.*?)```", text, flags=re.DOTALL | re.MULTILINE)
    return dict(line.split(maxsplit=1) for line in block.splitlines())


def test_every_folder_and_every_module_beside_them_is_on_the_map(drawn):
    folders = {p.parent for place in PLACES for p in (ROOT / place).rglob("*.py")}
    modules = [p for p in (ROOT / "rnascl_keras").glob("*.py") if p.stem != "__init__"]
    exist = {f"{p.relative_to(ROOT)}/" for p in folders - {ROOT / "rnascl_keras"}}
    exist |= {str(p.relative_to(ROOT)) for p in modules}
    assert {place for place in drawn if place.startswith(PLACES)} == exist
    assert all((ROOT / place).exists() for place in drawn)


def test_the_map_says_of_a_place_what_its_docstring_says(drawn):
    for place, said in drawn.items():
        path = ROOT / place / "__init__.py" if place.endswith("/") else ROOT / place
        if path.exists():
            docstring = ast.get_docstring(ast.parse(path.read_text()))
            assert docstring.splitlines()[0] == said, place


def test_the_map_goes_the_way_that_imports_point(drawn):
    with open(ROOT / "pyproject.toml", "rb") as file:
        (contract,) = tomllib.load(file)["tool"]["importlinter"]["contracts"]
    floors = [layer.split(" | ") for layer in contract["layers"]]
    inner = [place.removeprefix("rnascl_keras/") for place in drawn]
    names = [place.rstrip("/").removesuffix(".py") for place in inner]
    order = [k for name in names for k, floor in enumerate(floors) if name in floor]
    assert order == sorted(order)
    assert len(order) == sum(map(len, floors))
