from __future__ import annotations

import hashlib
import json
import xml.etree.ElementTree as ElementTree

import keras
import pytest
from files_of_images import file_of_images, linear_model_of_digits
from PIL import Image

from rnascl_keras import Architecture
from rnascl_keras.data import load_data
from rnascl_keras.evaluation.facts import FileFacts
from rnascl_keras.recipe import recipe_names
from rnascl_keras.run.pipeline import STAGE_NAMES


def test_help_names_every_command_and_every_recipe(rnascl):
    result = rnascl("--help")
    assert result.code == 0
    for word in ("run", *STAGE_NAMES, *recipe_names()):
        assert word in result.out
    for command in ("run", *STAGE_NAMES):
        assert rnascl(command, "--help").code == 0


def test_the_default_work_folder_is_named_after_the_recipe(rnascl, tiny, tmp_path):
    result = rnascl("train", tiny)
    assert result.code == 2
    assert "train needs runs/tiny/teacher.keras, which is not there" in result.err


@pytest.mark.parametrize(
    ("stage", "missing", "maker"),
    [
        ("search", "teacher.keras", "teacher"),
        ("derive", "search/outcome.json", "search"),
        ("train", "architecture.json", "derive"),
        ("finetune", "student.keras", "train"),
        ("export", "student_trades.keras", "finetune"),
        ("evaluate", "export/student.onnx", "export"),
        ("evaluate", "export/student_int8.onnx", "export"),
        ("report", "export/latency.json", "export"),
        ("report", "evaluation.json", "evaluate"),
    ],
)
def test_a_stage_without_its_input_says_what_makes_it(rnascl, work, tiny, stage, missing, maker):
    (work / missing).unlink()
    result = rnascl(stage, tiny, "--workdir", work)
    assert result.code == 2
    assert len(result.err.splitlines()) == 1
    assert f"{stage} needs {work / missing}" in result.err
    # As the user called it: with the file of the recipe, and the work folder.
    assert f"`rnascl {maker} {tiny} --workdir {work}`" in result.err


def test_a_single_stage_does_itself_alone(rnascl, work, tiny):
    (work / "architecture.json").unlink()
    (work / "report.json").unlink()
    result = rnascl("derive", tiny, "--workdir", work)
    assert result.code == 0
    assert (work / "architecture.json").exists()
    assert not (work / "report.json").exists()
    result = rnascl("report", tiny, "--workdir", work)
    assert result.code == 0
    assert json.loads((work / "report.json").read_text())["recipe"] == "tiny"
    assert f"{work / 'report.html'}" in result.out.replace("\n", "")


def test_derive_keeps_to_a_budget(rnascl, work, tiny):
    space = Architecture.load(work / "architecture.json").space
    smallest = Architecture(space, space.widths_everywhere(min), input_shape=(8, 8, 1)).macs
    result = rnascl("derive", tiny, "--workdir", work, "--max-macs", smallest)
    assert result.code == 0
    found = Architecture.load(work / "architecture.json")
    assert found.widths == ((8, 8),)
    assert found.macs == smallest
    result = rnascl("derive", tiny, "--workdir", work, "--max-macs", smallest - 1)
    assert result.code == 2
    assert f"{smallest:,}" in result.err


def test_evaluate_of_a_recipe_takes_its_settings_by_set(rnascl, work, tiny):
    changes = ["--set", "evaluation.n=12", "--set", "evaluation.attacks=fgsm"]
    result = rnascl("evaluate", tiny, "--workdir", work, *changes)
    assert result.code == 0, result.err
    figures = json.loads((work / "evaluation.json").read_text())
    assert figures["n"] == 12
    assert set(figures["student"]["accuracy"]) == {"clean", "fgsm", "worst"}
    assert set(figures["export"]["student.onnx"]["accuracy"]) == {"clean", "transfer_fgsm"}
    assert set(figures["export"]["student_int8.onnx"]["accuracy"]) >= {"clean", "fgsm", "worst"}


def test_evaluate_writes_the_promised_json(rnascl, tmp_path):
    data, out = file_of_images(tmp_path / "d.npz"), tmp_path / "new" / "out.json"
    model = linear_model_of_digits(tmp_path / "linear.keras")
    options = ["--eps", "8/255", "--n", 30, "--seed", 3, "--attacks", "fgsm,pgd"]
    result = rnascl("evaluate", model, "--data", data, *options, "--json", out)
    assert result.code == 0, result.err
    written = json.loads(out.read_text())
    assert {
        "model": str(model),
        "sha256": hashlib.sha256(model.read_bytes()).hexdigest(),
        "data": str(data),
        "n": 30,
        "norm": "Linf",
        "epsilon": 8 / 255,
        "seed": 3,
    }.items() <= written.items()
    FileFacts.model_validate(written)
    assert set(written) == FileFacts.model_fields.keys() - {"sweep", "corrupted"}
    assert written["check"]["n"] == 30 and written["check"]["verdict"] in " ".join(
        result.out.split()
    )
    assert set(written["accuracy"]) == {"clean", "fgsm", "pgd20", "worst"}
    images, labels = load_data("digits").test.first(30)
    right = keras.models.load_model(model).predict(images, verbose=0).argmax(-1) == labels
    assert written["accuracy"]["clean"] == pytest.approx(right.mean())
    for key, (low, high) in written["intervals"].items():
        assert type(written["accuracy"][key]) is float
        assert 0 <= low <= written["accuracy"][key] <= high <= 1


def test_evaluate_sweeps_over_the_radius(rnascl, whole_run, tmp_path):
    data, out, plot = (tmp_path / name for name in ("d.npz", "out.json", "plot.svg"))
    file_of_images(data)
    options = ["--sweep", "0.02,0.1,16/255", "--attacks", "fgsm,cw", "--check", 0]
    files = ["--json", out, "--plot", plot]
    model = whole_run.folder / "student.keras"
    result = rnascl("evaluate", model, "--data", data, "--n", 10, *options, *files)
    assert result.code == 0, result.err
    written = json.loads(out.read_text())
    assert written["check"] is None
    assert set(written["accuracy"]) == {"clean", "fgsm", "cw", "worst"}
    sweep = written["sweep"]
    assert sweep["epsilon"] == [0.02, 8 / 255, 16 / 255, 0.1]  # with that of --eps
    for key, shares in sweep["accuracy"].items():
        assert len(shares) == 4 and max(shares) <= written["accuracy"]["clean"]
        assert shares[1] == written["accuracy"][key]
    assert "By radius" in result.out and "16/255" in result.out and "By class" in result.out
    text = "".join(ElementTree.parse(plot).getroot().itertext())
    for words in ("FGSM", "CW", "Worst case", "16/255", "student.keras, first 10 images"):
        assert words in text
    picture = tmp_path / "plot.png"
    result = rnascl("evaluate", model, "--data", data, "--n", 10, *options, "--plot", picture)
    assert result.code == 0, result.err
    with Image.open(picture) as image:
        assert image.format == "PNG" and image.width > 800


def test_evaluate_in_l2(rnascl, tmp_path):
    data, out = file_of_images(tmp_path / "d.npz"), tmp_path / "out.json"
    options = ["--norm", "L2", "--eps", "1.5", "--n", 10, "--attacks", "pgd", "--check", 5]
    model = linear_model_of_digits(tmp_path / "linear.keras")
    result = rnascl("evaluate", model, "--data", data, *options, "--json", out)
    assert result.code == 0, result.err
    written = json.loads(out.read_text())
    assert (written["norm"], written["epsilon"]) == ("L2", 1.5)
    assert written["check"]["n"] == 5
