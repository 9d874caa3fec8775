"""The closing tables say what the figures say."""

from __future__ import annotations

import io
import re

from small_report import REPORT, with_corruptions, with_int8, with_litert

from rnascl_keras.console import PlainConsole
from rnascl_keras.report.terminal import print_summary


def test_closing_tables_fit_eighty_columns_and_mark_transfers(tmp_path):
    report = with_int8(REPORT)
    console = PlainConsole(width=80, file=io.StringIO())
    print_summary(report, console, workdir=tmp_path)
    printed = console.file.getvalue()
    lines = [line.rstrip() for line in printed.splitlines()]
    assert max(map(len, lines)) <= 80
    rows = {
        cells[0]: cells[1:]
        for line in lines
        if "│" in line and (cells := [cell.strip() for cell in line.strip("│").split("│")])[0]
    }
    assert rows["Parameters"] == ["11.2 M", "113 k", "113 k"]
    assert rows["Keras file"] == ["1.50 MB", "3.00 MB", "4.50 MB"]
    assert rows["Worst case"] == ["", "", "", "42.0", "42.0"]
    order = list(report["export"])
    assert order == ["student_trades.onnx", "student.onnx"] + [
        f"{student}_int8.onnx" for student in ("student", "student_trades")
    ]
    assert rows["Size"] == ["44.7 MB", "484 kB", "484 kB", "161 kB", "161 kB"]
    assert rows["ms, all"] == ["12.3", "0.0341", "0.0341", "0.0341", "0.0341"]
    assert rows["PGD-20"] == ["", "", "", "42.1", "42.1"]
    assert rows["PGD-20†"] == ["", "43.2†", "43.2†", "43.2†", "43.2†"]
    assert any(line.startswith("† transfer") for line in lines)
    assert any("8/255" in line and "1,000" in line for line in lines)
    assert "student_int8.onnx: No sign of it." in lines
    assert "  stage 2   32  28  20" in lines
    assert any(re.match(r"  1\.1 +expand ← 2\.1 conv2 +depthwise ← 1\.1 conv1", x) for x in lines)
    assert str(tmp_path / "student.keras") in printed.replace("\n", "")


def test_closing_table_of_a_report_without_int8_files(tmp_path):
    console = PlainConsole(width=80, file=io.StringIO())
    print_summary(REPORT, console)
    printed = console.file.getvalue()
    assert re.search(r"PGD-20† +│ +43\.2†", printed) and "484 kB" in printed


def test_a_recipe_s_name_is_no_markup():
    console = PlainConsole(width=80, file=io.StringIO())
    print_summary(REPORT | {"recipe": "net[v1]:cat:"}, console)
    assert "rnascl: net[v1]:cat:" in console.file.getvalue()


def test_closing_table_has_the_mean_under_corruptions():
    console = PlainConsole(width=80, file=io.StringIO())
    print_summary(with_corruptions(REPORT), console)
    printed = console.file.getvalue()
    assert re.search(r"Corruptions +│ +74\.2 +│ +79\.6 +│ +65\.8", printed)
    said = " ".join(printed.split())
    assert "Corruptions: mean accuracy under 2 of 15 corruptions at five severities" in said
    console = PlainConsole(width=80, file=io.StringIO())
    print_summary(REPORT, console)
    assert "orruption" not in console.file.getvalue()


def test_closing_table_has_the_litert_files_in_a_table_of_their_own(tmp_path):
    console = PlainConsole(width=80, file=io.StringIO())
    print_summary(with_litert(REPORT), console)
    onnx, litert = console.file.getvalue().split("LiteRT files")
    rows = {
        cells[0]: cells[1:]
        for line in litert.splitlines()
        if "│" in line and (cells := [cell.strip() for cell in line.strip("│").split("│")])[0]
    }
    assert rows["Size"] == ["480 kB", "150 kB"]
    assert rows["ms, 1 thread"] == ["0.0123", "0.0123"] and "ms, all" not in rows
    assert rows["Activations"] == ["200 kB", "50.1 kB"]
    assert rows["PGD-20"] == ["", "42.1"] and rows["PGD-20†"] == ["43.2†", "43.2†"]
    assert "Activations" not in onnx and "teacher" not in litert.split("Accuracy in %")[0]
