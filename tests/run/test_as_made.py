"""What export, evaluate and report say of files: from what these were made, or nothing."""

import json

import pytest

from rnascl_keras import Architecture
from rnascl_keras.data import load_data
from rnascl_keras.recipe import load_recipe
from rnascl_keras.run.as_made import recipe_of_files
from rnascl_keras.run.stage_table import STAGES
from rnascl_keras.run.workdir import Run


def stamp(work, stage, **changes):
    """Write other entries into a stamp: `section__key=value`; None takes the key out."""
    path = work / ".stages" / f"{stage}.json"
    content = json.loads(path.read_text())
    for name, value in changes.items():
        *sections, last = name.split("__")
        target = content
        for section in sections:
            target = target[section]
        if value is None:
            del target[last]
        else:
            target[last] = value
    path.write_text(json.dumps(content))


def test_a_report_describes_the_files_whatever_is_asked_for(rnascl, tiny, work):
    (work / "report.json").unlink()
    asked = ["train.epochs=99", "teacher.method=pgd", "evaluation.n=7", "cache.views=3"]
    sets = [part for change in asked for part in ("--set", change)]
    result = rnascl("report", tiny, "--workdir", work, *sets)
    assert result.code == 0, result.err
    for told in ("train.epochs: 2 there, 99 now", "teacher.method: n_fgsm there, pgd now"):
        assert told in result.err
    report = json.loads((work / "report.json").read_text())
    assert report["settings"]["train"]["epochs"] == 2
    assert report["settings"]["cache"]["views"] == 0
    assert report["settings"]["evaluation"]["n"] == report["n"] == 50
    assert report["command"] == f"rnascl run {tiny} --workdir {work}"
    page = (work / "report.html").read_text()
    assert "trained by n_fgsm" in page and "for 2 epochs" in page and "99" not in report["command"]


MIXTURES = [
    ("report", "train", "architecture.json", "student.keras"),
    ("evaluate", "finetune", "student.keras", "student_trades.keras"),
    ("evaluate", "export", "student.keras", "export/student.onnx"),
    ("report", "evaluate", "student.keras", "evaluation.json"),
    ("export", "derive", "search/outcome.json", "architecture.json"),
    ("export", "search", "teacher.keras", "search/outcome.json"),
]


@pytest.mark.parametrize(("stage", "maker", "input_", "made"), MIXTURES)
def test_files_that_do_not_belong_together_are_refused(
    refused, tiny, work, stage, maker, input_, made
):
    path = work / ".stages" / f"{maker}.json"
    content = json.loads(path.read_text())
    content["made_from"]["inputs"][input_] = "another"
    path.write_text(json.dumps(content))
    line = refused(stage, tiny, "--workdir", work)
    assert f"{made} was not made from the {input_} that is there" in line
    assert f"`rnascl {maker} {tiny} --workdir {work}" in line


def test_a_new_derivation_is_not_shown_beside_the_old_student(rnascl, refused, tiny, work):
    before = Architecture.load(work / "architecture.json")
    smallest = Architecture(
        before.space, before.space.widths_everywhere(min), input_shape=(8, 8, 1)
    )
    assert smallest.widths != before.widths
    assert rnascl("derive", tiny, "--workdir", work, "--max-macs", smallest.macs).code == 0
    budget = ("--set", f"derive.max_macs={smallest.macs}")
    for stage in ("report", "evaluate", "export"):
        line = refused(stage, tiny, "--workdir", work, *budget)
        assert "student.keras was not made from the architecture.json that is there" in line
        assert f"`rnascl train {tiny} --workdir {work} {' '.join(budget)} --overwrite`" in line


@pytest.mark.parametrize(
    ("stage", "maker", "input_", "made"),
    [
        ("train", "derive", "search/outcome.json", "architecture.json"),
        ("finetune", "train", "architecture.json", "student.keras"),
    ],
)
def test_no_training_begins_from_such_files(refused, tiny, work, stage, maker, input_, made):
    stamp(work, maker, made_from__inputs={input_: "another"})
    stamp(work, stage, signature="another")
    line = refused(stage, tiny, "--workdir", work)
    assert f"{made} was not made from the {input_} that is there" in line
    assert f"`rnascl {maker} {tiny} --workdir {work}" in line


def test_stamps_of_another_version_are_told(refused, tiny, work):
    stamp(work, "train", made_from__settings__train__magic=1)
    line = refused("report", tiny, "--workdir", work)
    assert "of another version" in line and "magic" in line


@pytest.mark.parametrize(
    ("stage", "changes", "says"),
    [
        ("search", {"made_from__settings__seed": 1}, "seed: 0 in teacher, 1 in search"),
        (
            "train",
            {"made_from__settings__search.taps": "block"},
            "search.taps: conv in search, block in train",
        ),
        ("train", {"makes__student.keras": "another"}, "student.keras is not as train left it"),
    ],
)
def test_stages_that_disagree_are_refused(refused, tiny, work, stage, changes, says):
    stamp(work, stage, **changes)
    line = refused("report", tiny, "--workdir", work)
    assert says in line and f"`rnascl {stage} {tiny}" in line


def test_without_a_stamp_nobody_knows(refused, tiny, work):
    (work / ".stages" / "train.json").unlink()
    line = refused("export", tiny, "--workdir", work)
    assert "nothing notes what student.keras was made from" in line


def test_a_folder_of_an_earlier_version_is_described_where_the_settings_fit(refused, tiny, work):
    """Its stamps hold a hash alone."""
    for stage in STAGES:
        if stage.name != "cache":
            stamp(work, stage.name, made_from=None)
    run = Run(load_recipe(str(tiny)), work)
    assert recipe_of_files(run, STAGES[-1]) == run.recipe
    line = refused("report", tiny, "--workdir", work, "--set", "train.epochs=99")
    assert "student.keras was made from is not these settings and files" in line


def test_other_data_are_refused(refused, tiny, work):
    line = refused("evaluate", tiny, "--workdir", work, "--set", "data.augmentation=crop_flip")
    assert "data.augmentation: shift there, crop_flip now" in line


def test_a_space_that_is_no_name_comes_back_from_its_stamp(tiny, work):
    run = Run(load_recipe(str(tiny), ["space=digits"]), work, listener=lambda line: None)
    own = load_recipe(str(tiny))
    assert recipe_of_files(run, STAGES[-1]) == own
    assert len(load_data("digits").test) > 50
