"""Every block of the guides runs as printed, one after the other, in one folder."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path

import keras
import numpy as np
import pytest

from rnascl_keras.teachers.cache import TeacherCache

FOLDER = Path(__file__).parent.parent / "docs" / "guides"
WITH_FIGURES = FOLDER / "python.md"
pytestmark = pytest.mark.usefixtures("attacks_of_this_test")
AUDIT = FOLDER / "audit.md"
GUIDES = sorted(set(FOLDER.glob("*.md")) - {WITH_FIGURES, AUDIT})
BLOCK = re.compile(r"```(python|sh)\n(.*?)```", flags=re.DOTALL)


def test_the_audited_example_fares_as_its_guide_says(tmp_path, monkeypatch, rnascl):
    monkeypatch.chdir(tmp_path)
    figures = walked(AUDIT, rnascl)["figures"]
    said = " ".join(AUDIT.read_text().split())
    (clean, pgd), (n, left) = (
        map(int, re.search(pattern, said).groups())
        for pattern in (
            r"150 images (\d+) are classified right, and under PGD-20 at 4/255 still (\d+)",
            r"here to (\d+) images of (\d+) at 16/255",
        )
    )
    assert (figures.right["clean"].sum(), figures.right["pgd20"].sum()) == (clean, pgd)
    swept = json.loads((tmp_path / "figures.json").read_text())["sweep"]
    assert swept["accuracy"]["pgd20"][swept["epsilon"].index(16 / 255)] == n / left
    with np.load("fooled.npz") as fooled:
        assert len(fooled["x"])


@pytest.mark.parametrize("guide", GUIDES, ids=lambda path: path.stem)
def test_a_guide_runs_as_printed(guide, tmp_path, monkeypatch, rnascl):
    monkeypatch.chdir(tmp_path)
    walked(guide, rnascl)


def test_the_student_of_the_python_guide_learns(tmp_path, monkeypatch, rnascl):
    monkeypatch.chdir(tmp_path)
    names = walked(WITH_FIGURES, rnascl)
    assert isinstance(names["search"].teacher, TeacherCache)
    figures = names["figures"]
    assert figures.n == 200
    assert figures.accuracy["clean"] > 0.5  # ten classes
    assert 0 <= figures.accuracy["worst"] <= figures.accuracy["clean"]
    assert abs(names["adversarial"] - names["images"]).max() <= 0.1 + 1e-6
    loaded = keras.models.load_model("student.keras")
    images, _ = names["data"].test.first(10)
    np.testing.assert_allclose(loaded(images), names["student"](images), atol=1e-6)


def walked(guide: Path, rnascl) -> dict:
    """Run a guide's blocks in this folder; return the names that its Python leaves."""
    names: dict = {}
    blocks = BLOCK.findall(guide.read_text())
    assert blocks
    for language, text in blocks:
        if language == "python":
            exec(compile(text, guide.name, "exec"), names)
            continue
        for line in text.strip().splitlines():
            program, *words = shlex.split(line, comments=True)
            assert program == "rnascl"
            result = rnascl(*words)
            assert result.code == 0, f"{line}: {result.err}"
    return names
