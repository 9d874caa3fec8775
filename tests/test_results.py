"""Every figure in the tables of RESULTS.md and the README comes from a file in results/."""

import re
from pathlib import Path

import pytest

from benchmarks.results import BLOCK, compared, filled
from rnascl_keras.comparison.differences import as_array, differences
from rnascl_keras.files.whole import read_json
from rnascl_keras.report.keys import model_keys
from rnascl_keras.units import count, percent

ROOT = Path(__file__).parent.parent
RESULTS = (ROOT / "RESULTS.md").read_text()
README = (ROOT / "README.md").read_text()
COMPARISONS = compared(RESULTS)


@pytest.mark.parametrize("page", [RESULTS, README], ids=["RESULTS", "README"])
def test_the_tables_are_those_of_the_files(page):
    assert COMPARISONS
    assert filled(page) == page, "make results"


@pytest.mark.parametrize("page", [RESULTS, README], ids=["RESULTS", "README"])
def test_no_table_of_figures_is_typed(page):
    assert BLOCK.search(page)
    assert not re.findall(r"^\|.*\d", BLOCK.sub("", page), flags=re.MULTILINE)


def test_a_changed_figure_is_noticed():
    """The check can fail: a digit that is changed in a table comes back."""
    (place,) = [m.end() for m in re.finditer(r"KDIGA \| [\d.]+ k \| \d+ k \| ", RESULTS)][:1]
    changed = RESULTS[:place] + "1" + RESULTS[place:]
    assert filled(changed) == RESULTS != changed


@pytest.mark.parametrize("name", COMPARISONS)
def test_a_comparison_agrees_with_its_own_images(name):
    content = read_json(ROOT / f"results/{name}.json")
    for row in content["rows"]:
        shares = [row["accuracy"], *row["pgd20"]["accuracy"]]
        texts = [row["right"]["clean"], *row["right"]["pgd20"]]
        if "auto_attack" in row:
            shares.append(row["auto_attack"]["accuracy"])
            texts.append(row["right"]["auto_attack"])
        assert [as_array(text).mean() for text in texts] == pytest.approx(shares)
        assert row["seconds"] > 0 and row["evaluation_seconds"] > 0 and row["hardware"]
    assert content["differences"] == differences(content["rows"])
    assert content["command"].startswith("rnascl compare ")
    picture = (ROOT / f"results/{name}.svg").read_text()
    assert all(f">{row['name']}<" in picture for row in content["rows"]), "make results"
    assert f"](results/{name}.svg)" in RESULTS


@pytest.mark.parametrize("name", ["demo", "cifar10_s3_quick"])
def test_the_readme_s_figures_of_runs_are_those_of_the_files(name):
    """Cell by cell, without the code that fills the table."""
    rows = re.findall(rf"^\| `{name}`: .*$", README, flags=re.MULTILINE)
    cells = [[cell.strip() for cell in row.split("|")[3:7]] for row in rows]
    report = read_json(ROOT / f"results/{name}_run.json")
    models = [report[key] for key in model_keys(report)]
    assert cells == [
        [count(model["parameters"]), count(model["macs"])]
        + [percent(model["accuracy"][key]) for key in ("clean", "pgd20")]
        for model in models
    ]


def test_the_table_of_deployed_files_is_what_was_printed():
    """A file's size in the table is that in bytes, to the three digits that are shown."""
    rows = re.findall(r"^\| (.+), (float|int8) \| ([\d.]+) ([kM])B", RESULTS, flags=re.MULTILINE)
    measured = read_json(ROOT / "results/deployed_sizes.json")["rows"]
    assert [(name, form) for name, form, *_ in rows] == [(m["name"], m["form"]) for m in measured]
    for (_, _, number, unit), row in zip(rows, measured, strict=True):
        assert float(number) * {"k": 1e3, "M": 1e6}[unit] == pytest.approx(row["bytes"], rel=5e-3)


def test_the_paper_s_search_is_told_and_drawn_as_its_outcome_says():
    """Block by block, without the code that fills the table."""
    outcome = read_json(ROOT / "results/cifar10_s3_wrt34_search.json")
    (table,) = re.findall(r"<!-- table: paper_search -->(.*?)<!-- end -->", RESULTS, re.DOTALL)
    lines = [line.split("|") for line in table.splitlines() if line.startswith("|")]
    rows = {cells[1].strip(): cells for cells in lines}
    drawn = (ROOT / "results/cifar10_s3_wrt34_tutors.svg").read_text()
    tutors = dict(zip(outcome["student_layers"], outcome["tutor_logits"], strict=True))
    options = [s["widths"] for s in outcome["space"]["stages"] for _ in range(s["depth"])]
    for (choice, logits), widths in zip(outcome["channel_logits"].items(), options, strict=True):
        stage, block = re.findall(r"\d+", choice)
        cells = rows[f"{stage}.{block}"]
        assert cells[2].split()[0] == str(widths[logits.index(max(logits))])
        for cell, part in zip(cells[3:], ("expand", "depthwise", "project"), strict=False):
            logits = tutors[f"stage{stage}_block{block}_{part}"]
            layer = outcome["teacher_layers"][logits.index(max(logits))]
            short = re.sub(r"stage(\d+)_block(\d+)_", r"\1.\2 ", layer)
            assert cell.strip() == short
            assert f">{short}<" in drawn
    assert "](results/cifar10_s3_wrt34_tutors.svg)" in RESULTS


@pytest.mark.parametrize("page", [RESULTS, README], ids=["RESULTS", "README"])
def test_what_is_said_of_the_paper_s_own_schedule_was_measured(page):
    found = read_json(ROOT / "results/cifar10_s3_wrt34_student.json")
    clean, attacked = (percent(found["accuracy"][key]) for key in ("clean", "pgd20"))
    assert found["n"] == 10000
    said = f"| PGD-20, n = 10,000 | {attacked} |"
    if page is README:
        page = " ".join(page.split())
        said = f"right on {clean} % of the clean images and on {attacked} % under PGD-20"
    assert said in page
