"""Every figure in the tables of RESULTS.md and the README comes from a file in results/."""

import re
from pathlib import Path

import pytest

from benchmarks.results import BLOCK, compared, filled
from rnascl_keras.comparison.differences import as_array, differences
from rnascl_keras.files.whole import read_json
from rnascl_keras.report.keys import accuracy_keys, model_keys
from rnascl_keras.units import count, percent

ROOT = Path(__file__).parent.parent
RESULTS = (ROOT / "RESULTS.md").read_text()
README = (ROOT / "README.md").read_text()
COMPARISONS = compared(RESULTS)


def test_the_tables_are_those_of_the_files():
    assert COMPARISONS
    assert filled(RESULTS) == RESULTS, "make results"


def test_no_table_of_figures_is_typed():
    assert not re.findall(r"^\|.*\d", BLOCK.sub("", RESULTS), flags=re.MULTILINE)


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


def test_the_readme_s_tables_of_runs_are_those_of_the_files():
    tables = re.findall(r"`rnascl run (\w+)`, [^|]*?\n\n((?:\|.*\n)+)", README)
    assert {name for name, _ in tables} == {"digits", "cifar10_s3_quick"}
    for name, table in tables:
        report = read_json(ROOT / f"results/{name}_run.json")
        keys = [key for key in accuracy_keys(report) if key != "worst"]
        expected = [
            [count(model["parameters"]), count(model["macs"])]
            + [percent(model["accuracy"][key]) for key in keys]
            for model in (report[key] for key in model_keys(report))
        ]
        cells = [[cell.strip() for cell in line.split("|")[2:-1]] for line in table.splitlines()]
        assert cells[2:] == expected, name
