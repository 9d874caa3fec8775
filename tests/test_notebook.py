"""The notebook among the guides: its cells run, and what is kept in it is that of one whole run."""

from __future__ import annotations

import json
import re
from pathlib import Path

import keras
import matplotlib
import numpy as np
import pytest

NOTEBOOK = Path(__file__).parent.parent / "docs" / "guides" / "digits.ipynb"
LONG = "= 15, 10, 20, 10", "test.first(200)"
SHORT = "= 6, 2, 6, 2", "test.first(60)"


@pytest.fixture(scope="module")
def cells():
    """The cells of code, each with what was kept of it."""
    cells = json.loads(NOTEBOOK.read_text())["cells"]
    return [cell for cell in cells if cell["cell_type"] == "code"]


def test_the_cells_run_one_after_the_other(cells, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    matplotlib.use("Agg")
    program = "\n".join("".join(cell["source"]) + "\n" for cell in cells)
    for long, short in zip(LONG, SHORT, strict=True):
        assert program.count(long) == 1
        program = program.replace(long, short)
    names: dict = {"__name__": "notebook"}
    exec(compile(program, NOTEBOOK.name, "exec"), names)
    names["plt"].close("all")
    measured = names["measured"]
    assert list(measured) == ["teacher", "student", "student, TRADES", "student.onnx"]
    trained, file = measured["student, TRADES"], measured["student.onnx"]
    assert (file.n, file.epsilon) == (60, 0.1)
    assert trained.accuracy["clean"] > 0.5  # ten classes
    assert file.accuracy["clean"] == trained.accuracy["clean"]
    loaded = keras.models.load_model(tmp_path / "digits_notebook" / "student.keras")
    right = np.mean(np.argmax(loaded(names["images"]), axis=1) == names["labels"])
    assert right == pytest.approx(file.accuracy["clean"])
    assert np.abs(names["attacked"]["pgd20"] - names["images"]).max() <= 0.1 + 1e-6


def test_what_is_kept_is_of_one_run_and_of_no_machine(cells):
    assert [cell["execution_count"] for cell in cells] == list(range(1, len(cells) + 1))
    outputs = [output for cell in cells for output in cell["outputs"]]
    assert {output["output_type"] for output in outputs} == {"stream", "display_data"}
    assert {output.get("name", "stdout") for output in outputs} == {"stdout"}  # no log, no warning
    assert sum("image/png" in output.get("data", {}) for output in outputs) == 4
    kept = NOTEBOOK.read_text()
    assert len(kept) < 600_000
    text = re.sub(r'"image/png": "[^"]*"', "", kept)
    assert not re.search(r"/(home|root|tmp|opt|work|usr)/", text)


def test_what_the_words_say_is_what_came_out(cells):
    """Distilled, the student is less robust than its teacher, and by TRADES as robust."""
    said = "".join("".join(o.get("text", ())) for cell in cells for o in cell["outputs"])
    found = dict(re.findall(r"^(.+?): clean .*pgd20 ([\d.]+) %", said, re.MULTILINE))
    pgd = {name: float(share) for name, share in found.items()}
    assert pgd["student"] < pgd["teacher"] - 10
    assert pgd["student, TRADES"] > pgd["student"] + 10
    assert pgd["student.onnx"] == pgd["student, TRADES"]
    (times,) = re.findall(r"the teacher has ([\d.]+) times as many", said)
    assert float(times) > 3
