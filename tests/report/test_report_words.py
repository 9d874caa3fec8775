"""What the report says in words follows from its figures."""

import copy

import numpy as np
import pytest
from scipy.stats import spearmanr
from small_report import DATA, REPORT, page_of, with_int8

from rnascl_keras.assignments import changed_settings, with_settings
from rnascl_keras.recipe import load_recipe
from rnascl_keras.report.keys import model_names
from rnascl_keras.report.words import attention_words, model_card, summary, tutor_reading
from rnascl_keras.units import count, milliseconds, radius, size


def tutors(*places):
    layers = [f"t{place}" for place in places]
    return [{"student_layer": f"s{k}", "teacher_layer": t} for k, t in enumerate(layers)]


NAMES = [f"t{k}" for k in range(9)]


def test_reading_of_tutors_in_order_against_it_and_in_none():
    early = tutor_reading(tutors(0, 1, 1, 3, 4, 6, 8), NAMES)
    assert early["words"].startswith("Early layers tended to choose early tutors")
    assert early["rank_correlation"] == pytest.approx(spearmanr(range(7), [0, 1, 1, 3, 4, 6, 8])[0])
    assert early["distinct"] == 6 and "6 of the teacher's 9 layers" in early["words"]
    late = tutor_reading(tutors(8, 6, 5, 4, 2, 1), NAMES)
    assert late["words"].startswith("Early layers tended to choose late tutors")
    assert "−1.00" in late["words"]
    none = tutor_reading(tutors(3, 8, 1, 5, 2, 6), NAMES)
    assert none["words"].startswith("Early layers did not clearly choose") and none["p_value"] > 0.3


def test_reading_where_there_is_none():
    same = tutor_reading(tutors(4, 4, 4, 4), NAMES)
    assert same["rank_correlation"] is None and "chose one tutor, t4" in same["words"]
    assert tutor_reading(tutors(1, 2), NAMES) is None
    assert tutor_reading(tutors(1, 2, 3), ["other"]) is None


def test_summary_says_the_figures_of_the_last_student_and_its_smallest_file():
    text = " ".join(summary(with_int8(REPORT), None))
    assert "113 k parameters and 6.65 M multiply-adds" in text
    assert "right on 75.8 % of the first 1,000 test images, and on 42.8 %" in text
    assert "at 83.5 times the multiply-adds, has 84.2 and 51.6 %" in text
    assert "from 89.6 to 75.8 % on clean images, and from 10.4 to 42.8 % under attack" in text
    assert "student_trades_int8.onnx, takes 161 kB" in text and "on 42.0 % when it is" in text
    assert "No sign of false robustness was found on the 2 models and files" in text


def test_summary_says_where_the_teacher_is_the_smaller_network():
    report = copy.deepcopy(REPORT)
    report["teacher"]["macs"] = 5_000_000
    text = " ".join(summary(report, None))
    assert "Its teacher, the smaller network, at 0.752 times the multiply-adds" in text
    assert "smaller network" not in " ".join(summary(REPORT, None))


def test_summary_warns_of_false_robustness():
    report = copy.deepcopy(REPORT)
    words = "False robustness is likely, because."
    report["student"]["check"] = {"passed": False, "verdict": words, "findings": []}
    text = " ".join(summary(report, None))
    assert "False robustness is likely for Student: do not rely" in text


@pytest.mark.parametrize("passed", [True, False])
def test_doubt_is_what_the_check_found_however_its_verdict_is_worded(passed):
    report = with_int8(REPORT)
    check = {"n": 200, "findings": []}
    report["teacher"]["check"] = {**check, "passed": True, "verdict": "False robustness? None."}
    for file in ("student_int8.onnx", "student_trades_int8.onnx"):
        report["export"][file]["check"] = {**check, "passed": passed, "verdict": "See the paper."}
    text = " ".join(summary(report, None))
    doubted = "False robustness is likely for student_int8.onnx and student_trades_int8.onnx: do"
    assert (doubted in text) is not passed
    assert ("No sign of false robustness was found on the 3 models and files" in text) is passed


def test_attention_words_recomputed():
    maps = np.random.default_rng(0).random((2, 6, 4, 4))
    maps[1, 1::2] = 3 * maps[1, ::2]  # the same up to scale

    correlations = [np.corrcoef(maps[0, k].ravel(), maps[0, k + 1].ravel()) for k in (0, 2, 4)]
    expected = np.mean([correlation[0, 1] for correlation in correlations])
    words = attention_words([{"student": maps[0], "teacher": maps[1]}])
    assert f"student {expected:.2f}, its tutors 1.00;" in words
    assert attention_words([]) == ""


def test_page_with_card_sweep_and_command(tmp_path):
    report = copy.deepcopy(REPORT) | {"data": DATA, "hardware": "2 cores of X"}
    report["command"] = "rnascl run cifar10_s3_quick --set seed=7"
    report["versions"]["rnascl-keras"] = "0.1.0"
    recipe = load_recipe("cifar10_s3_quick").model_dump(mode="json")
    report["settings"] = recipe
    for key in ("teacher", "student", "student_trades"):
        intervals = [[0.1, 0.4], [0.0, 0.2]]
        report[key]["sweep"] = {"n": 200, "epsilon": [4 / 255, 8 / 255], "clean": 0.9}
        report[key]["sweep"] |= {"accuracy": {"pgd20": [0.31, 0.123]}}
        report[key]["sweep"] |= {"intervals": {"pgd20": intervals}}
    page = page_of(tmp_path, report)
    assert page.open == [] and len(page.images) == 8
    assert page.row("radius 8/255") == ["12.3"] * 3
    assert page.row("radius 0") == ["90.0"] * 3
    text = " ".join(page.text.split())
    assert "classifies images of 32 × 32 × 3 into 2 classes: cat, dog." in text
    assert report["command"] in text and "on 2 cores of X" in text
    assert "45,000 to train, 5,000 held out, 10,000 to test" in text


def test_card_of_a_trained_teacher_and_without_data():
    settings = load_recipe("digits").model_dump(mode="json")
    card = model_card({**REPORT, "data": DATA, "settings": settings})
    assert card["Teacher"] == "digits_cnn, trained by pgd within radius 0.1 for 20 epochs."
    assert "5 of TRADES within radius 0.1, 5 inner steps" in card["Training"]
    settings["train"] |= {"robust": "rslad", "epsilon": 8 / 255}
    card = model_card({**REPORT, "data": DATA, "settings": settings})
    assert "tutors (eq. 3), with the logit terms of rslad within radius 8/255, " in card["Training"]
    del settings["train"]["robust"]  # a report of an earlier version
    card = model_card({**REPORT, "data": DATA, "settings": settings})
    assert "tutors (eq. 3), 5 of TRADES" in card["Training"]
    assert model_card(REPORT) == {}
    settings["teacher"]["epochs"] = settings["search"]["epochs"] = 1
    card = model_card({**REPORT, "data": {**DATA, "classes": ["cat"]}, "settings": settings})
    assert "into 1 class: cat." in card["Does"] and card["Teacher"].endswith("for 1 epoch.")
    assert card["Training"].startswith("1 epoch of search, ")


def test_changed_settings_make_the_recipe_again():
    own = load_recipe("digits")
    changes = ["search.epochs=3", "search.combine=add", "finetune=null", "train.gradient_weight=2"]
    changed = with_settings(own, changes)
    found = changed_settings(changed, own)
    assert {c.partition("=")[0] for c in found} == {c.partition("=")[0] for c in changes}
    assert with_settings(own, found) == changed
    assert changed_settings(own, own) == []


def test_radii_are_written_the_shorter_way():
    assert [radius(e) for e in (8 / 255, 0.2, 1.0, 0.1)] == ["8/255", "0.2", "1", "0.1"]


def test_what_was_not_done_is_not_said():
    """A student trained without tutors and fine-tuned by another method than TRADES."""
    changes = ("train.gamma_t=0", "train.robust=n_fgsm", "finetune.robust=rslad")
    settings = with_settings(load_recipe("demo"), changes).model_dump(mode="json")
    report = {**REPORT, "settings": settings, "data": DATA}
    training = model_card(report)["Training"]
    assert "no attention was copied" in training and "eq. 3" not in training
    assert "fine-tuning by rslad" in training and "TRADES" not in training
    assert summary(report, None)[1].startswith("Fine-tuning by rslad moved it from")
    assert model_names(report)["student_trades"] == "Student, fine-tuned"
    assert model_names(REPORT)["student_trades"] == "Student, TRADES"


@pytest.mark.parametrize(
    ("number", "written"),
    [
        (999, "999"),
        (1000, "1.00 k"),
        (9980, "9.98 k"),
        (9994, "9.99 k"),
        (9996, "10.0 k"),
        (99_800, "99.8 k"),
        (99_960, "100 k"),
        (113_210, "113 k"),
        (999_949, "1.00 M"),
        (9_980_000, "9.98 M"),
        (2_500_000_000, "2.50 G"),
    ],
)
def test_a_count_has_three_digits(number, written):
    assert count(number) == written
    assert size(number) == (f"{written}B" if number >= 1000 else f"{written} B")


def test_milliseconds_have_three_digits():
    written = {0.0222: "0.0222", 0.09998: "0.100", 9.98: "9.98", 9.996: "10.0", 99.96: "100"}
    written |= {1240.4: "1,240", 0.0: "0"}
    assert {number: milliseconds(number) for number in written} == written
