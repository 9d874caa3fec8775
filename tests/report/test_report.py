"""The report's page says what the figures say."""

from __future__ import annotations

import base64
import copy
import io
import re
import xml.etree.ElementTree as ElementTree

import numpy as np
import pytest
from small_report import (
    REPORT,
    fooled_images,
    page_of,
    pictures,
    with_classes,
    with_corruptions,
    with_int8,
    with_litert,
)

from rnascl_keras.console import PlainConsole
from rnascl_keras.evaluation.examples import Examples
from rnascl_keras.report.audit_plots import gallery
from rnascl_keras.report.page import write_report
from rnascl_keras.report.terminal import print_summary


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


def test_page_shows_the_accuracies_under_corruptions_where_there_are_any(tmp_path):
    page = page_of(tmp_path, with_corruptions(REPORT))
    assert page.open == []
    assert page.row("Fog") == ["64.2", "69.6", "55.8"]
    assert page.row("JPEG compression") == ["84.2", "89.6", "75.8"]
    assert (
        "Mean accuracy under 2 of 15 corruptions: 65.8 %, 95 % interval 63.8 to 67.8" in page.text
    )
    assert "orruption" not in page_of(tmp_path).text


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
    console = PlainConsole(width=80, file=io.StringIO())
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


def test_page_shows_names_of_bytes_that_are_no_text(tmp_path):
    report = with_classes(REPORT) | {"recipe": "net\udcff"}
    report["data"] = report["data"] | {"classes": ["cat\udcff", "d$^$g"]}
    page = page_of(tmp_path, report, fooled=fooled_images())
    assert {"net?", "cat?", "d$^$g"} <= set(re.split(r"[\s,.:]+", page.text))


def test_page_is_the_same_for_the_same_figures(tmp_path):
    first = write_report(tmp_path / "a", REPORT, pictures()).read_bytes()
    assert first == write_report(tmp_path / "b", REPORT, pictures()).read_bytes()


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


def test_page_shows_size_speed_memory_and_attacks_of_the_litert_files(tmp_path):
    page = page_of(tmp_path, with_litert(REPORT))
    assert page.row("Size")[-2:] == ["480", "150"]
    assert page.row("Latency ms, 1 thread")[-2:] == ["0.0123", "0.0123"]
    assert page.row("Latency ms, all")[-3:] == ["0.0341", "–", "–"]
    assert page.row("Activations") == [*["–"] * 5, "200", "50.1"]
    assert page.row("student_int8.tflite") == ["150", "3.1", "75.7", "46.9", "42.1"]
    assert "Activations" not in page_of(tmp_path, with_int8(REPORT)).text


def test_a_model_near_chance_is_said_in_red_on_the_page_and_in_the_closing_table(tmp_path):
    report = copy.deepcopy(REPORT)
    report["student"]["near_chance"] = "clean accuracy is near chance (33.3 %): check scale."
    html = write_report(tmp_path, report, pictures()).read_text()
    (said,) = re.findall(r'<p class="alarm">([^<]*)</p>', html)
    assert said.startswith("Student: nothing is known") and "teacher.start" in said
    columns = len({"clean", "fgsm", "pgd20", "mi_fgsm", "worst"})
    assert html.count('<td class="alarm">') == columns
    assert re.search(r"\.alarm \{ color: var\(--alarm\)", html) and "--alarm: #b3261e" in html
    console = PlainConsole(
        width=80, file=io.StringIO(), force_terminal=True, color_system="standard"
    )
    print_summary(report, console)
    printed = console.file.getvalue()
    assert len(re.findall(r"\x1b\[1;31m *89\.6", printed)) == 1
    assert not re.search(r"\x1b\[1;31m *84\.2", printed)
    assert re.search(
        r"\x1b\[1;31mStudent: no verdict on robustness: clean accuracy is near", printed
    )


def test_of_models_that_have_learned_nothing_is_red(tmp_path):
    assert 'class="alarm"' not in write_report(tmp_path, REPORT, pictures()).read_text()


def test_page_shows_the_last_student_s_classes_and_images_that_were_fooled(tmp_path):
    page = page_of(tmp_path, with_classes(REPORT), fooled=fooled_images())
    assert page.open == [] and len(page.images) == 9
    text = " ".join(page.text.split())
    assert text.index("2026-11-27") < text.index("In short")
    rows = [[cell.strip() for cell in row] for row in page.cells if len(row) == 6]
    assert [
        row for row in rows if row[0] in ("cat", "dog")
    ] == [  # the class that falls first stands first
        ["dog", "10", "60.0", "10.0", "10.0", "cat"],
        ["cat", "10", "90.0", "80.0", "80.0", "dog"],
    ]
    assert "Student, TRADES, clean and under PGD-20, its strongest attack" in text
    assert "Right for Student, TRADES as they were" in text
    assert "through Student, TRADES, the student shown" in text
    confusion, gallery = (
        base64.b64decode(image["src"].split(",", 1)[1]).decode()
        for image in page.images
        if image["alt"].startswith(("Maps of the share", "Images as they were"))
    )
    assert {">90<", ">40<"} <= set(re.findall(r">\d+<", confusion))
    assert gallery.count("✗ cat") == 2 and "change" in gallery


def test_page_without_figures_by_class_shows_none(tmp_path):
    page = page_of(tmp_path, fooled=fooled_images())
    assert len(page.images) == 7 and "fall first" not in page.text


def test_a_class_that_the_data_do_not_name_is_shown_by_its_number(tmp_path):
    report = with_classes(REPORT)
    report["data"] = {**report["data"], "classes": ["cat"]}
    page = page_of(tmp_path, report, fooled=fooled_images())
    assert [row[0].strip() for row in page.cells if row and row[0].strip() in ("1", "cat")] == [
        "1",
        "cat",
    ]


def test_many_classes_are_shown_by_the_weakest(tmp_path):
    report = with_classes(REPORT)
    names = [f"c{k}" for k in range(30)]
    report["data"] = {**report["data"], "classes": names}
    shares = [k / 30 for k in range(30)]
    report["student_trades"] |= {
        "per_class": dict.fromkeys(("clean", "pgd20", "worst"), shares[::-1]),
        "class_counts": [10] * 30,
    }
    del report["student_trades"]["confusion"]
    page = page_of(tmp_path, report)
    shown = [row[0].strip() for row in page.cells if row and row[0].strip() in names]
    assert shown == names[:9:-1]
    assert "the 20 weakest of 30 classes" in page.text


def test_every_wide_table_scrolls(tmp_path):
    html = write_report(tmp_path, with_classes(with_litert(REPORT)), pictures()).read_text()
    heads = re.findall(r"(<div [^>]*>)?\n<table[^>]*>\n<thead>(.*?)</thead>", html, flags=re.DOTALL)
    wide = [opening for opening, head in heads if head.count("<th ") > 2]
    assert len(wide) >= 4 and set(wide) == {'<div class="scroll" tabindex="0">'}


def test_an_undecided_search_is_called_so(tmp_path):
    def summary(**changes):
        text = " ".join(page_of(tmp_path, **changes).text.split())
        return text[text.index("In short") : text.index("Accuracy, clean")]

    decided = np.log([3.0, 1.2])
    sharp = {"stage1_block1_choice": np.array([[0.5, 0.5], [0.02, 0.98]])}
    told = summary(tutor_entropy=decided, channel_history=sharp)
    assert "Early layers" in told and "did not decide" not in told
    told = summary(tutor_entropy=np.log([3.0, 2.9]), channel_history=sharp)
    assert "did not decide on tutors: at its end 2.9 of the teacher's 3 layers" in told
    assert "Early layers" not in told and "on widths" not in told
    flat = {"stage1_block1_choice": np.array([[0.5, 0.5], [0.4, 0.6]])}
    told = summary(tutor_entropy=decided, channel_history=flat)
    assert "did not decide on widths: at its end 2.0 of a block's 2 were" in told


@pytest.mark.parametrize("shape", [(8, 8, 6), (3, 8, 8), (8, 8, 2), (8, 8, 1), (8, 8, 4)])
def test_images_of_any_number_of_channels_are_drawn(shape):
    images = np.random.default_rng(0).uniform(0, 1, (2, *shape))
    fooled = Examples(np.arange(2), images, np.array([0, 1]), 1 - images, np.array([1, 0]))
    assert gallery(fooled, {"class_names": ["cat", "dog"]}).count("<image") == 6
