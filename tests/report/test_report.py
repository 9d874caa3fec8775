"""The report's page and the closing table say what the figures say."""

from __future__ import annotations

import base64
import copy
import io
import re
import xml.etree.ElementTree as ElementTree
from html.parser import HTMLParser

import numpy as np
from rich.console import Console

from rnascl_keras.report.page import ReportPictures, write_report
from rnascl_keras.report.terminal import print_summary

EPSILON = 8 / 255
VOID = {"meta", "img", "br", "link", "input", "hr"}


def figures(parameters, macs, *shares):
    keys = ("clean", "fgsm", "pgd20", "mi_fgsm", "worst")
    accuracy = dict(zip(keys, shares, strict=True))
    intervals = {key: [max(0, share - 0.03), share + 0.02] for key, share in accuracy.items()}
    return {"parameters": parameters, "macs": macs, "accuracy": accuracy, "intervals": intervals}


STUDENT_LAYERS = ["stem", "stage1_block1_expand", "stage1_block1_depthwise", "stage2_block1_expand"]
TEACHER_LAYERS = ["conv1", "stage1_block1_conv1", "stage2_block1_conv2"]
REPORT = {
    "recipe": "cifar10_s3",
    "seed": 7,
    "versions": {"keras": "3.15.1"},
    "epsilon": EPSILON,
    "n": 1000,
    "teacher": figures(11_173_962, 555_000_000, 0.842, 0.587, 0.521, 0.535, 0.516),
    "student": figures(113_210, 6_650_000, 0.896, 0.231, 0.112, 0.131, 0.104),
    "student_trades": figures(113_210, 6_650_000, 0.758, 0.472, 0.431, 0.442, 0.428),
    "export": {
        "student_trades.onnx": {
            "sha256": "0123abcd" * 8,
            "bytes": 484_321,
            "max_abs_difference": 3.1e-7,
            "accuracy": {"clean": 0.757, "transfer_fgsm": 0.473, "transfer_pgd20": 0.432},
        }
    },
    "architecture": {
        "space": "S3",
        "widths": [[16, 12, 16], [32, 28, 20], [64, 60, 52]],
        "tutors": [
            {"student_layer": layer, "teacher_layer": TEACHER_LAYERS[i]}
            for layer, i in zip(STUDENT_LAYERS, (0, 2, 1, 2), strict=True)
        ],
    },
    "files": {"student": "student.keras"},
    "settings": {"search": {"epochs": 5, "noise": "gumbel"}},
    "duration": {"search": 3725.0},
}


def pictures(**changes):
    random = np.random.default_rng(0)
    maps = random.random((2, 4, 8, 8))
    given = {
        "tutor_probabilities": np.array(
            [[0.7, 0.2, 0.1], [0.1, 0.2, 0.7], [0.2, 0.6, 0.2], [0.3, 0.3, 0.4]]
        ),
        "student_layers": STUDENT_LAYERS,
        "teacher_layers": TEACHER_LAYERS,
        "channel_history": {
            "stage1_block1_choice": np.array([[0.5, 0.5], [0.4, 0.6]]),
            "stage2_block1_choice": np.array([[0.3, 0.3, 0.4], [0.1, 0.7, 0.2]]),
        },
        "channel_widths": {"stage1_block1_choice": [16, 12], "stage2_block1_choice": [32, 28, 24]},
        "tutor_entropy": np.log([3.0, 1.5]),
        "gumbel_temperature": np.array([5.0, 0.5]),
        "images": random.random((4, 32, 32, 3)),
        "labels": ["cat", "cat", "ship", "ship"],
        "predictions": ["cat", "dog", "ship", "ship"],
        "attention": [
            {
                "student_layer": "stage1_block1_expand",
                "teacher_layer": "stage2_block1_conv2",
                "student": maps[0],
                "teacher": maps[1],
            }
        ],
    }
    return ReportPictures(**{**given, **changes})


class Page(HTMLParser):
    """The tags, links, images and visible text of a page; notes tags left open."""

    def __init__(self, html):
        super().__init__()
        self.open, self.images, self.links, self.cells, self.text = [], [], [], [], ""
        self.tags = set()
        self.feed(html)

    def handle_starttag(self, tag, attributes):
        attributes = dict(attributes)
        self.tags.add(tag)
        if tag == "img":
            self.images.append(attributes)
        self.links += [attributes[name] for name in ("href", "src") if name in attributes]
        if tag == "tr":
            self.cells.append([])
        if tag in ("td", "th"):
            self.cells[-1].append("")
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if "style" not in self.open:
            self.text += data
            if "td" in self.open or "th" in self.open:
                self.cells[-1][-1] += data

    def row(self, title):
        """The numbers first written in each cell of the row that begins with `title`."""
        (cells,) = [row for row in self.cells if row and row[0].strip().startswith(title)]
        return [re.match(r"\s*([\d.,]+|–)", cell)[1] for cell in cells[1:]]


def page_of(tmp_path, report=REPORT, **changes):
    path = write_report(tmp_path, report, pictures(**changes))
    return Page(path.read_text())


def test_page_is_whole_and_asks_the_network_for_nothing(tmp_path):
    page = page_of(tmp_path)
    assert page.open == []
    assert [path.name for path in tmp_path.iterdir()] == ["report.html"]
    remote = [link for link in page.links if re.match(r"\w*:?//", link)]
    assert remote == [] and not page.tags & {"script", "link", "iframe"}
    assert {"student.keras", "export/student_trades.onnx"} <= set(page.links)
    # accuracy, two width choices, tutor map, tutors in play, temperature, attention
    assert len(page.images) == 7
    for image in page.images:
        assert len(image["alt"]) > 20
        kind, data = image["src"].split(",", 1)
        assert kind == "data:image/svg+xml;base64"
        ElementTree.fromstring(base64.b64decode(data))


def test_page_shows_each_figure_in_its_model_s_column(tmp_path):
    page = page_of(tmp_path)
    assert page.row("Clean") == ["84.2", "89.6", "75.8"]
    assert page.row("Worst case") == ["51.6", "10.4", "42.8"]
    assert page.row("Parameters") == ["11,173,962", "113,210", "113,210"]
    assert page.row("student_trades.onnx") == ["484", "3.1", "75.7", "47.3", "43.2"]
    assert "39.8–44.8" in page.text and "0123abcd" * 8 in page.text and "1 h 02 min" in page.text
    assert "search.epochs" in page.text


def test_page_says_how_the_figures_were_measured(tmp_path):
    text = " ".join(page_of(tmp_path).text.split())
    caption = text[
        text.index("The first 1,000 test images; seed 7; every attack within L∞ radius") :
    ]
    assert caption[:400].count("8/255") == 1
    assert "PGD-20: 20 steps of ε/4, random start, one run" in caption[:400]
    transfer = text[text.index("Transfer means") :][:400]
    assert "made on the Keras model (L∞ radius 8/255, the first 1,000 test images" in transfer


def test_page_and_closing_table_tell_whether_the_robustness_is_real(tmp_path):
    def check(passed):
        words = f"{'0.0' if passed else '31.0'} % of the images fall to Square"
        return {
            "n": 200,
            "passed": passed,
            "verdict": "No sign of it." if passed else f"False robustness is likely: {words}.",
            "findings": [{"name": "black_box", "share": 0, "passed": passed, "words": words}],
        }

    report = copy.deepcopy(REPORT)
    report["teacher"]["check"], report["student"]["check"] = check(True), check(False)
    page = page_of(tmp_path, report)
    (row,) = [row for row in page.cells if row[0].startswith("Black box beats")]
    assert row[1:] == [
        "✓ 0.0 % of the images fall to Square",
        "✗ 31.0 % of the images fall to Square",
    ]
    text = " ".join(page.text.split())
    assert "Teacher: No sign of it." in text
    assert "Student: False robustness is likely: 31.0 % of the images fall to Square." in text
    console = Console(width=80, file=io.StringIO())
    print_summary(report, console)
    printed = " ".join(console.file.getvalue().split())
    assert "Student: False robustness is likely: 31.0 %" in printed
    assert "real?" not in page_of(tmp_path).text


def test_page_leaves_out_what_a_run_did_not_make(tmp_path):
    report = copy.deepcopy(REPORT)
    for part in ("student_trades", "export", "duration", "files"):
        del report[part]
    page = page_of(
        tmp_path,
        report,
        tutor_probabilities=np.empty((0, 0)),
        channel_history={},
        tutor_entropy=np.empty(0),
        gumbel_temperature=np.empty(0),
        images=np.empty((0, 8, 8, 1)),
    )
    assert len(page.images) == 1
    assert page.row("Clean") == ["84.2", "89.6"]
    for absent in ("TRADES", "Exported", "Where they look", "Duration"):
        assert absent not in page.text


def test_page_escapes_what_it_is_given(tmp_path):
    report = {**REPORT, "recipe": "<script>x</script>", "settings": {"a": "<b>&"}}
    page = page_of(tmp_path, report, labels=["<i>", "<i>", "&", "&"])
    assert "script" not in page.tags and "<script>x</script>" in page.text
    assert "<b>&" in page.text


def test_page_is_the_same_for_the_same_figures(tmp_path):
    first = write_report(tmp_path / "a", REPORT, pictures()).read_bytes()
    assert first == write_report(tmp_path / "b", REPORT, pictures()).read_bytes()


def with_int8(report):
    """A report with the files of two students, as a run leaves it."""
    report = copy.deepcopy(report)
    for size, name in enumerate(("teacher", "student", "student_trades"), start=1):
        report[name]["bytes"] = size * 1_500_400
    latency = {"one_thread": 0.0522, "all_threads": 0.0341}
    report["teacher_onnx"] = {"bytes": 44_700_000, "latency_ms": dict.fromkeys(latency, 12.345)}
    for student in ("student", "student_trades"):
        file = {**REPORT["export"]["student_trades.onnx"], "latency_ms": latency}
        report["export"][f"{student}.onnx"] = file
        accuracy = {**file["accuracy"], "fgsm": 0.469, "pgd20": 0.421, "worst": 0.42}
        report["export"][f"{student}_int8.onnx"] = {
            **file,
            "bytes": 161_007,
            "accuracy": accuracy,
            "check": {"passed": True, "verdict": "No sign of it.", "findings": []},
        }
    return report


def test_page_shows_size_speed_and_attacks_of_the_int8_files(tmp_path):
    page = page_of(tmp_path, with_int8(REPORT))
    assert page.row("Size") == ["44.7", "484", "484", "161", "161"]
    assert page.row("Latency ms, 1 thread") == ["12.3", "0.0522", "0.0522", "0.0522", "0.0522"]
    assert page.row("student_int8.onnx") == ["161", "3.1", "75.7", "46.9", "42.1"]
    assert page.row("student.keras") == ["3,001", "–", "89.6", "23.1", "11.2"]
    assert "student.keras" in page.links
    text = " ".join(page.text.split())
    assert "42.1 transfer 43.2" in text
    assert "student_int8.onnx: No sign of it." in text


def test_closing_tables_fit_eighty_columns_and_mark_transfers(tmp_path):
    report = with_int8(REPORT)
    console = Console(width=80, file=io.StringIO())
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
    console = Console(width=80, file=io.StringIO())
    print_summary(REPORT, console)
    printed = console.file.getvalue()
    assert re.search(r"PGD-20† +│ +43\.2†", printed) and "484 kB" in printed
