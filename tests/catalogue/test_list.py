"""`rnascl list` names all that can be chosen, because it looks where the choice is made."""

from __future__ import annotations

import io
import re

import pytest

from rnascl_keras.attacks import ATTACKS, PGD
from rnascl_keras.catalogue import kinds
from rnascl_keras.catalogue.kinds import KINDS, kind_of
from rnascl_keras.catalogue.show import print_kinds, print_short
from rnascl_keras.catalogue.words import first_sentence
from rnascl_keras.comparison.names import METHOD_NAMES
from rnascl_keras.console import PlainConsole
from rnascl_keras.errors import UserError
from rnascl_keras.method.spaces import SPACES, SearchSpace, Stage
from rnascl_keras.recipe import recipe_folder, recipe_names
from rnascl_keras.teachers import TEACHERS
from rnascl_keras.teachers.included import included_teachers


class Sideways(PGD):
    """Steps to the side. It is of no use."""


@pytest.fixture
def more(monkeypatch, tmp_path):
    """A recipe, a space and an attack more than there were."""
    recipe = recipe_folder() / "digits.py"
    (tmp_path / "mine.py").write_text('"""My own images. In minutes."""\n' + recipe.read_text())
    for module in ("rnascl_keras.recipe", "rnascl_keras.catalogue.kinds"):
        monkeypatch.setattr(f"{module}.recipe_folder", lambda: tmp_path)
    monkeypatch.setitem(ATTACKS, "sideways", Sideways)
    monkeypatch.setitem(SPACES, "narrow", SearchSpace("narrow", (Stage(2, (9, 7)),)))


def test_what_is_added_is_found(more, rnascl):
    assert "mine" in rnascl("list").out
    assert re.search(r"mine .*My own images *\W", rnascl("list", "recipes").out)
    assert re.search(r"sideways .*Steps to the side *\W", rnascl("list", "attacks").out)
    assert re.search(
        r"narrow .*2 blocks in 1 stages, 7 to 9 channels, 4 students", kinds_of("spaces")
    )


def kinds_of(*names) -> str:
    console = PlainConsole(record=True, width=200, file=io.StringIO())
    print_kinds(names, console)
    return console.export_text()


@pytest.mark.parametrize(
    ("kind", "names"),
    [
        ("recipes", recipe_names()),
        ("spaces", SPACES),
        ("teachers", [*included_teachers(), *TEACHERS]),
        ("attacks", ATTACKS),
        ("datasets", ["digits", "FOLDER", "FILE.npz"]),
        ("methods", METHOD_NAMES),
    ],
)
def test_every_kind_is_whole_and_everything_is_explained(kind, names):
    entries = kind_of(kind).entries()
    assert set(names) <= set(entries)
    assert all(len(words) > 4 and "\n" not in words for words in entries.values())


def test_a_second_name_points_at_the_first():
    assert kinds.of_docstrings({"a": PGD, "b": PGD})["b"] == "as a"


def test_without_an_argument_all_kinds_are_there():
    console = PlainConsole(record=True, width=5000, file=io.StringIO())
    print_short(console)
    shown = console.export_text()
    for name, kind in KINDS.items():
        assert name in shown
        assert ", ".join(kind.entries()) in shown


def test_an_unknown_kind_is_refused_with_the_nearest(rnascl):
    with pytest.raises(UserError, match="Did you mean 'attacks'"):
        kind_of("attack")
    assert rnascl("list", "spices").code == 2


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("One. Two.", "One"),
        ("By eq. 3,\n    as printed. More.", "By eq. 3, as printed"),
        ("First paragraph\n\n    second.", "First paragraph"),
        (None, ""),
    ],
)
def test_the_first_sentence_of_a_docstring(text, sentence):
    assert first_sentence(text) == sentence
