"""`rnascl clean` deletes what a run has made, and nothing else."""

from __future__ import annotations

import io
import re
from pathlib import Path

import pytest

from rnascl_keras.files.lock import locked
from rnascl_keras.files.whole import written_beside
from rnascl_keras.recipe import load_recipe
from rnascl_keras.run.cleaning import MADE, delete, leftovers
from rnascl_keras.run.stage_table import STAGES
from rnascl_keras.run.workdir import Run

PACKAGE = Path(__file__).parents[2] / "rnascl_keras"


@pytest.fixture
def begun(tmp_path) -> Path:
    """The folder of a run that has left a few files."""
    folder = tmp_path / "begun"
    for name in (".stages/teacher.json", "teacher.keras", "search/a/b.csv", "part_student.keras"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(bytes(1000))
    return folder


def test_a_whole_run_is_gone(rnascl, work, tiny):
    result = rnascl("clean", tiny, "--workdir", work, "--yes")
    assert result.code == 0, result.err
    assert not work.exists()


def test_it_says_what_it_would_delete_and_its_size_and_asks(rnascl, begun, tiny, monkeypatch):
    monkeypatch.setattr("sys.stdin", io.StringIO("n\n"))
    result = rnascl("clean", tiny, "--workdir", begun)
    assert result.code == 2 and "nothing was deleted" in result.err
    assert f"{begun / 'search'}/" in result.out and str(begun / "teacher.keras") in result.out
    assert "4.00 kB" in result.err
    assert (begun / "teacher.keras").exists()
    monkeypatch.setattr("sys.stdin", io.StringIO("y\n"))
    assert rnascl("clean", tiny, "--workdir", begun).code == 0
    assert not begun.exists()


def test_where_nobody_answers_nothing_is_deleted(rnascl, begun, tiny, monkeypatch):
    monkeypatch.setattr("sys.stdin", io.StringIO(""))
    assert rnascl("clean", tiny, "--workdir", begun).code == 2
    assert (begun / "teacher.keras").exists()


def test_what_is_not_the_runs_stays(rnascl, begun, tiny, tmp_path):
    (begun / "photos").mkdir()
    (begun / "photos" / "cat.jpg").touch()
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "mine").touch()
    (begun / "cache").symlink_to(elsewhere)
    result = rnascl("clean", tiny, "--workdir", begun, "--yes")
    assert result.code == 0 and "photos" in result.out
    assert [path.name for path in begun.iterdir()] == ["photos"]
    assert (begun / "photos" / "cat.jpg").exists() and (elsewhere / "mine").exists()


def test_another_folder_is_refused(refused, tiny, tmp_path):
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "teacher.keras").touch()
    assert "is not the folder of a run" in refused(
        "clean", tiny, "--workdir", tmp_path / "photos", "--yes"
    )
    assert "no folder" in refused("clean", tiny, "--workdir", tmp_path / "none", "--yes")


def test_a_folder_in_which_a_run_is_at_work_is_refused(rnascl, begun, tiny):
    with locked(begun / ".stages" / "lock"):
        result = rnascl("clean", tiny, "--workdir", begun, "--yes")
    assert result.code == 2 and "is at work" in result.err
    assert (begun / "teacher.keras").exists()


def test_all_that_the_code_writes_into_a_runs_folder_is_known(tiny, tmp_path):
    run = Run(load_recipe(str(tiny)), tmp_path)
    known = {name.partition("/")[0] for stage in STAGES for name in stage.makes(run)} | {*MADE}
    written = set()
    for folder in ("run", "comparison", "tuning", "pruning"):
        for file in (PACKAGE / folder).glob("*.py"):
            found = re.findall(r"(?:run|self)\.path\(f?\"([\w.]+)", file.read_text())
            written |= {*found} - {".stages"}
    assert {"compare.svg", "teacher.keras", "tune.png"} <= written
    assert written <= known


def test_half_written_files_are_the_runs(begun, tiny):
    run = Run(load_recipe(str(tiny)), begun)
    found = leftovers(run)
    assert "part_student.keras" in {path.name for path in found.made}
    assert found.size == 4000 and found.others == []
    writing = written_beside(begun / "student.keras")
    part = writing.__enter__()  # and is killed
    found = leftovers(run)
    assert part in found.made and found.others == []
    delete(run, found)
    assert not begun.exists()
