"""What a second run skips, and what it does again."""

from __future__ import annotations

import dataclasses
import json
import shutil

import numpy as np
import pytest

from rnascl_keras.recipe import load_recipe
from rnascl_keras.run import pipeline, stamps
from rnascl_keras.run.pipeline import STAGES, run_stages
from rnascl_keras.run.workdir import Run

# `tiny` has no cache: it asks the teacher in every step; test_cache_run.py is about one that has.
STAGE_NAMES = tuple(stage.name for stage in STAGES if stage.name != "cache")
MODELS = ("teacher", "student", "student_trades")
STUDENTS = MODELS[1:]
FILES = tuple(f"{student}{form}.onnx" for student in STUDENTS for form in ("", "_int8"))


def read(path):
    return json.loads(path.read_text())


def done_stages(result):
    """Return the stages that a command skipped."""
    return [n for n in STAGE_NAMES if f"{n}: already done from the same settings" in result.err]


def test_the_table_of_stages_and_their_names_agree():
    assert tuple(stage.name for stage in STAGES) == stamps.STAGE_NAMES


def test_a_second_run_skips_every_stage(work, tiny, rnascl, snapshot):
    before = snapshot(work)
    result = rnascl("run", tiny, "--workdir", work)
    assert result.code == 0
    assert done_stages(result) == list(STAGE_NAMES)
    assert snapshot(work) == before


@pytest.fixture
def redone(work, whole_run, monkeypatch, tiny):
    """A function: settings -> the stages that a run does; each writes what it wrote before,
    with `changed` a byte more."""

    def replay(stage, changed, log):
        def do(run, _):
            log.append(stage.name)
            for name in stage.makes(run):
                shutil.copyfile(whole_run.folder / name, run.path(name))
                if changed:
                    with open(run.path(name), "ab") as file:
                        file.write(b" ")

        return dataclasses.replace(stage, work=do)

    def run(*settings, changed=False):
        log = []
        stages = tuple(replay(stage, changed, log) for stage in STAGES)
        monkeypatch.setattr(pipeline, "STAGES", stages)
        recipe = load_recipe(str(tiny), settings)
        run_stages(Run(recipe, work, listener=lambda line: None, overwrite=True))
        return log

    return run


@pytest.mark.parametrize(
    ("setting", "first"),
    [
        ("seed=1", "teacher"),
        ("data.limit_train=200", "teacher"),
        ("teacher.epochs=3", "teacher"),
        ("search.epochs=3", "search"),
        ('space="digits"', "search"),
        ("derive.max_macs=9e5", "derive"),
        ("train.learning_rate=0.01", "train"),
        ("finetune.trades_beta=1", "finetune"),
        ("name=other", "export"),
        ("export.calibration=100", "export"),
        ("export.agreement=0.5", "export"),
        ("evaluation.n=40", "evaluate"),
    ],
)
def test_a_changed_setting_redoes_its_stage_and_all_that_follows(redone, setting, first):
    assert redone(setting, changed=True) == list(STAGE_NAMES[STAGE_NAMES.index(first) :])


@pytest.mark.parametrize(
    ("setting", "stages"),
    [
        ("search.epochs=3", ["search", "report"]),
        ("derive.max_macs=9e5", ["derive", "report"]),
        ("teacher.epochs=3", ["teacher", "report"]),
        ("search.taps=block", ["search", "train", "finetune", "report"]),
        ("train.start=supernet", ["train", "report"]),
    ],
)
def test_a_stage_with_the_same_inputs_is_kept(redone, setting, stages):
    """Where a redone stage comes out as before, what was made from it stays."""
    assert redone(setting) == stages


OUTPUTS = [
    (stage.name, name)
    for stage in STAGES
    for name in stage.makes(Run(load_recipe("digits"), workdir=None))
]


@pytest.mark.parametrize(("stage", "name"), OUTPUTS)
def test_a_deleted_or_changed_file_is_made_again(redone, work, stage, name):
    (work / name).unlink()
    assert redone() == [stage]
    with open(work / name, "ab") as file:
        file.write(b"\n")
    assert redone() == [stage]
    assert redone() == []


def test_a_deleted_stamp_redoes_the_stage(redone, work):
    (work / ".stages" / "derive.json").unlink()
    assert redone() == ["derive"]


def test_for_real_a_truncated_architecture_heals(work, tiny, rnascl, snapshot):
    before = snapshot(work)
    path = work / "architecture.json"
    path.write_text(path.read_text()[:100])
    result = rnascl("run", tiny, "--workdir", work)
    assert result.code == 0
    assert done_stages(result) == [name for name in STAGE_NAMES if name != "derive"]
    after = snapshot(work)
    changed = {name for name in before if before[name] != after[name]}
    assert changed <= {".stages/derive.json"}  # the time it took


def test_for_real_a_folder_from_before_there_were_int8_files_goes_on(work, tiny, rnascl, whole_run):
    for name in ("student_int8.onnx", "student_trades_int8.onnx", "latency.json"):
        (work / "export" / name).unlink()
    parity = read(work / "export" / "parity.json")
    floats = {file: figures for file, figures in parity.items() if "int8" not in file}
    (work / "export" / "parity.json").write_text(json.dumps(floats))
    stamp = read(work / ".stages" / "export.json")
    stamp["signature"] = "that of settings without a section on export"
    (work / ".stages" / "export.json").write_text(json.dumps(stamp))
    result = rnascl("run", tiny, "--workdir", work)
    assert result.code == 0
    # the files that are made anew are equal to the byte, so what was measured on them stands
    assert done_stages(result) == [*STAGE_NAMES[:-3], "evaluate"]
    report, before = (read(folder / "report.json") for folder in (work, whole_run.folder))
    for file in FILES:
        assert (work / "export" / file).is_file()
        assert report["export"][file]["accuracy"] == before["export"][file]["accuracy"]


def test_for_real_another_evaluation_is_the_only_thing_redone(work, tiny, rnascl):
    changes = ["--set", "evaluation.n=20", "--set", 'evaluation.attacks=["fgsm"]']
    changes += ["--set", 'evaluation.corruptions=["fog", "snow"]']
    result = rnascl("run", tiny, "--workdir", work, *changes)
    assert result.code == 0
    assert done_stages(result) == list(STAGE_NAMES[:-2])
    report = read(work / "report.json")
    assert report["n"] == 20
    assert set(report["student"]["accuracy"]) == {"clean", "fgsm", "worst"}
    for name in ("teacher", "student"):
        corrupted = report[name]["corrupted"]
        assert list(corrupted["accuracy"]) == ["snow", "fog"] and corrupted["n"] == 20
        means = np.mean(list(corrupted["accuracy"].values()))
        assert corrupted["mean"] == pytest.approx(means)
    assert "Under common corruptions" in (work / "report.html").read_text()
    assert "2 of 15 corruptions" in result.out
