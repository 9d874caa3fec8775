"""The files of a run, and what stands in them."""

from __future__ import annotations

import itertools
import json
import re
from pathlib import Path

import keras
import numpy as np
import onnx
import onnxruntime
import pytest
from sklearn.datasets import load_digits

from rnascl_keras import Architecture
from rnascl_keras.data import load_data
from rnascl_keras.method.callbacks import read_history
from rnascl_keras.models.fingerprint import fingerprint
from rnascl_keras.run.pipeline import STAGES
from tests.litert_alone import litert_logits

# `tiny` has no cache: it asks the teacher in every step; test_cache_run.py is about one that has.
STAGE_NAMES = tuple(stage.name for stage in STAGES if stage.name != "cache")
MODELS = ("teacher", "student", "student_trades")
STUDENTS = MODELS[1:]
FILES = tuple(f"{student}{form}.onnx" for student in STUDENTS for form in ("", "_int8"))
LITERT_FILES = tuple(file.replace(".onnx", ".tflite") for file in FILES)
KEYS = {"clean", "fgsm", "pgd20", "mi_fgsm", "worst"}
SAVED_MODEL = ("saved_model.pb", "variables/variables.index", "fingerprint.pb")


def read(path):
    return json.loads(path.read_text())


def test_a_run_leaves_exactly_the_promised_files(whole_run, snapshot):
    promised = {f"{model}.keras" for model in MODELS}
    promised |= {"architecture.json", "evaluation.json", "report.json", "report.html"}
    promised |= {
        f"export/{file}" for file in (*FILES, *LITERT_FILES, "parity.json", "latency.json")
    }
    for folder, part in itertools.product(STUDENTS, SAVED_MODEL):
        promised.add(f"export/{folder}_saved_model/{part}")
    promised |= {
        f"export/{s}_saved_model/variables/variables.data-00000-of-00001" for s in STUDENTS
    }
    promised |= {f"search/{n}" for n in ("outcome.json", "supernet.weights.h5", "choices.csv")}
    promised |= {f".stages/{stage}.json" for stage in STAGE_NAMES}
    found = set(snapshot(whole_run.folder))
    assert {f for f in found if not f.startswith("search/tensorboard/events")} == promised


def test_architecture_json_describes_the_student(whole_run):
    content = read(whole_run.folder / "architecture.json")
    assert {"space", "widths", "tutors", "teacher", "parameters", "macs"} <= set(content)
    assert content["space"] == "tiny"
    (row,) = content["widths"]
    assert len(row) == 2
    assert set(row) <= {12, 8}
    student = keras.models.load_model(whole_run.folder / "student.keras")
    teacher = keras.models.load_model(whole_run.folder / "teacher.keras", compile=False)
    assert content["parameters"] == sum(int(np.prod(v.shape)) for v in student.trainable_variables)
    assert content["teacher"] == fingerprint(teacher)
    assert len(content["tutors"]) == 1 + 2 * 3  # stem; expansion, depthwise, projection
    for tutor in content["tutors"]:
        assert set(tutor) == {"student_layer", "teacher_layer"}
        student.get_layer(tutor["student_layer"])
        teacher.get_layer(tutor["teacher_layer"])
    assert Architecture.load(whole_run.folder / "architecture.json").widths == (tuple(row),)


def assert_looked_at(figures):
    """False robustness was looked for; not where two epochs have left a model near chance."""
    if figures["near_chance"]:
        assert figures["check"] is None and figures["accuracy"]["clean"] <= 0.15
        return
    assert figures["check"]["n"] == 50
    assert {f["name"] for f in figures["check"]["findings"]} >= {"black_box", "transfer"}


def test_every_key_of_report_json_stands_on_the_page_about_it(whole_run):
    report = read(whole_run.folder / "report.json")
    page = (Path(__file__).parents[2] / "docs" / "running.md").read_text()
    (section,) = re.findall(r"## The keys of `report.json`\n(.*?)\n## ", page, re.DOTALL)
    keys = {*report, *report["student"], *report["data"], *report["export"]["student_int8.tflite"]}
    assert [key for key in sorted(keys) if f"`{key}`" not in section] == []


def test_report_json_keeps_its_keys(whole_run, tiny):
    report = read(whole_run.folder / "report.json")
    promised = {"recipe", "seed", "versions", "epsilon", "n", *MODELS, "export"}
    assert promised <= set(report)
    assert (report["recipe"], report["seed"], report["epsilon"], report["n"]) == (
        "tiny",
        0,
        0.1,
        50,
    )
    for model in MODELS:
        figures = report[model]
        more = {"per_class", "class_counts", "confusion", "near_chance", "check", "sweep", "bytes"}
        more |= {"engine"}
        assert set(figures) == {"parameters", "macs", "accuracy", "intervals"} | more
        assert figures["sweep"]["n"] == 50
        assert_looked_at(figures)
        assert figures["sweep"]["epsilon"] == [0.025, 0.05, 0.1, 0.2]
        assert figures["sweep"]["accuracy"]["pgd20"][2] == figures["accuracy"]["pgd20"]
        assert figures["sweep"]["clean"] == figures["accuracy"]["clean"]
        assert set(figures["accuracy"]) == set(figures["intervals"]) == KEYS
        for key, accuracy in figures["accuracy"].items():
            low, high = figures["intervals"][key]
            assert type(accuracy) is float
            assert 0 <= low <= accuracy <= high <= 1
            assert figures["accuracy"]["worst"] <= accuracy
    assert set(report["export"]) == {*FILES, *LITERT_FILES}
    for name, timed in {"teacher.onnx": report["teacher_onnx"], **report["export"]}.items():
        assert timed["bytes"] > 0
        threads = {"one_thread"} if name in LITERT_FILES else {"one_thread", "all_threads"}
        assert set(timed["latency_ms"]) == threads
        assert min(timed["latency_ms"].values()) > 0
    for name in LITERT_FILES:
        assert {"CONV_2D", "FULLY_CONNECTED"} <= report["export"][name]["operators"].keys()
        assert report["export"][name]["activation_bytes"] > 0
    assert set(report["duration"]) == set(STAGE_NAMES) - {"report"}
    # The command as it was given, and no other place names the folder.
    assert report.pop("command") == f"rnascl run {tiny} --workdir {whole_run.folder}"
    assert str(whole_run.folder) not in json.dumps(report)


def logits_of(path, images):
    """The logits that a file gives, by its own runtime alone."""
    if path.suffix == ".onnx":
        (logits,) = onnxruntime.InferenceSession(path).run(["logits"], {"images": images})
        return logits
    return litert_logits(path, images)


def test_the_figures_are_those_of_the_files(whole_run, snapshot):
    """Clean accuracies again, from the files alone."""
    report, hashes = read(whole_run.folder / "report.json"), snapshot(whole_run.folder)
    images, labels = load_data("digits").test.first(50)
    assert set(np.unique(images * 16)) <= set(np.unique(load_digits().images))
    for name in MODELS:
        model = keras.models.load_model(whole_run.folder / f"{name}.keras", compile=False)
        right = model.predict(images, verbose=0).argmax(-1) == labels
        assert report[name]["accuracy"]["clean"] == pytest.approx(right.mean())
        assert report[name]["bytes"] == (whole_run.folder / f"{name}.keras").stat().st_size
    for file, figures in report["export"].items():
        assert {"sha256", "bytes", "max_abs_difference", "accuracy"} <= set(figures)
        assert figures["sha256"] == hashes[f"export/{file}"]
        assert figures["bytes"] == (whole_run.folder / "export" / file).stat().st_size
        int8 = "_int8." in file
        assert 0 <= figures["max_abs_difference"] <= (np.inf if int8 else 1e-4)
        assert figures["agreement"] >= (0.95 if int8 else 0.999)
        logits = logits_of(whole_run.folder / "export" / file, images)
        assert figures["accuracy"]["clean"] == pytest.approx((logits.argmax(-1) == labels).mean())
        transfers = {f"transfer_{key}" for key in KEYS - {"clean", "worst"}}
        # The float file is the model; the int8 file is another function, and is attacked itself.
        assert set(figures["accuracy"]) == {"clean", *transfers, *(KEYS if int8 else ())}
        if int8:
            assert set(figures["intervals"]) == KEYS
            assert_looked_at(figures)
            accuracy = figures["accuracy"]
            assert accuracy["worst"] <= min(accuracy[key] for key in KEYS)


@pytest.mark.parametrize("file", FILES)
def test_an_onnx_file_says_what_it_is(whole_run, file):
    name = file.removesuffix(".onnx").removesuffix("_int8")
    model = onnx.load(whole_run.folder / "export" / file)
    properties = {entry.key: entry.value for entry in model.metadata_props}
    student = keras.models.load_model(whole_run.folder / f"{name}.keras")
    assert properties["fingerprint"] == fingerprint(student)
    architecture = read(whole_run.folder / "architecture.json")
    assert json.loads(properties["widths"]) == architecture["widths"]
    assert (properties["recipe"], properties["space"]) == ("tiny", "tiny")
    assert properties["classes"] == "10" and len(json.loads(properties["class_names"])) == 10
    assert (properties["input_layout"], properties["input_range"]) == ("NHWC", "[0, 1]")
    assert ("quantisation" in properties) == ("int8" in file)
    assert model.ir_version <= 10 and [o.version for o in model.opset_import] == [18]


def test_the_search_wrote_every_choice_of_every_epoch(whole_run):
    rows = read_history(whole_run.folder / "search" / "choices.csv")
    sums = {}
    for row in rows:
        key = int(row["epoch"]), row["choice"]
        sums[key] = sums.get(key, 0) + float(row["probability"])
    assert {epoch for epoch, _ in sums} == {0, 1}
    assert len(sums) == 2 * (2 + 7)  # two blocks, seven student layers
    np.testing.assert_allclose(list(sums.values()), 1, atol=1e-4)
