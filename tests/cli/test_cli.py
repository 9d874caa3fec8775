from __future__ import annotations

import hashlib
import json
import xml.etree.ElementTree as ElementTree

import keras
import numpy as np
import pytest

from rnascl_keras import Architecture, UserError
from rnascl_keras.data import load_data
from rnascl_keras.recipe import recipe_names
from rnascl_keras.run.pipeline import STAGE_NAMES
from rnascl_keras.units import parse_radius

layers = keras.layers


@pytest.fixture(autouse=True)
def somewhere_else(tmp_path, monkeypatch):
    """Whatever is written where the command is called lands in a fresh folder."""
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")


def classifier(path, shape=(8, 8, 1), outputs=10, convolution=True):
    images = keras.Input(shape)
    x = layers.Conv2D(4, 3)(images) if convolution else images
    keras.Model(images, layers.Dense(outputs)(layers.Flatten()(x))).save(path)
    return path


def file_of_images(path, labels=None, factor=1.0, **others):
    images, right = load_data("digits").test.first(40)
    y = right if labels is None else labels
    np.savez(path, x=images * np.float32(factor), y=y, **others)
    return path


# Commands


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
    changes = ["--set", "evaluation.n=12", "--set", "evaluation.attacks=[]"]
    result = rnascl("evaluate", tiny, "--workdir", work, *changes)
    assert result.code == 0, result.err
    figures = json.loads((work / "evaluation.json").read_text())
    assert figures["n"] == 12
    assert set(figures["student"]["accuracy"]) == {"clean", "worst"}
    assert set(figures["export"]["student.onnx"]["accuracy"]) == {"clean"}
    assert set(figures["export"]["student_int8.onnx"]["accuracy"]) == {"clean", "worst"}


def test_evaluate_writes_the_promised_json(rnascl, whole_run, tmp_path):
    data, out = file_of_images(tmp_path / "d.npz"), tmp_path / "new" / "out.json"
    model = whole_run.folder / "student.keras"
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
    keys = "model sha256 data n norm epsilon seed accuracy intervals per_class class_counts check"
    assert set(written) == set(keys.split())
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
    assert sweep["epsilon"] == [0.02, 16 / 255, 0.1]
    for shares in sweep["accuracy"].values():
        assert len(shares) == 3 and max(shares) <= written["accuracy"]["clean"]
    assert "By radius" in result.out and "16/255" in result.out and "By class" in result.out
    text = "".join(ElementTree.parse(plot).getroot().itertext())
    for words in ("FGSM", "CW", "Worst case", "16/255"):
        assert words in text


def test_evaluate_in_l2(rnascl, whole_run, tmp_path):
    data, out = file_of_images(tmp_path / "d.npz"), tmp_path / "out.json"
    options = ["--norm", "L2", "--eps", "1.5", "--n", 10, "--attacks", "pgd", "--check", 5]
    model = whole_run.folder / "student.keras"
    result = rnascl("evaluate", model, "--data", data, *options, "--json", out)
    assert result.code == 0, result.err
    written = json.loads(out.read_text())
    assert (written["norm"], written["epsilon"]) == ("L2", 1.5)
    assert written["check"]["n"] == 5


@pytest.mark.parametrize(("text", "radius"), [("8/255", 8 / 255), ("0.031", 0.031), ("1", 1.0)])
def test_a_radius_is_read(text, radius):
    assert parse_radius(text) == radius


@pytest.mark.parametrize("text", ["0", "1.01", "-8/255", "8/0", "eight", "", "nan", "inf", "1e999"])
def test_a_radius_outside_0_to_1_is_refused(text):
    with pytest.raises(UserError, match="in \\(0, 1\\] such as 8/255; got"):
        parse_radius(text)


# Mistakes: one line, exit code 2, nothing written


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ("run digit", "Did you mean 'digits'?"),
        ("run none.py", "there is no recipe file none.py"),
        ("run digits --set serach.epochs=5", "Did you mean 'search.epochs'?"),
        ("run digits --set search.epochs=many", "search.epochs: Input should be a valid integer"),
        ("run digits --set evaluation.epsilon=0", "evaluation.epsilon"),
        ("run digits --set search.batch_size=1", "search.batch_size"),
        ("run digits --set search.batch_size=5000", "search.batch_size is 5000"),
        ("run digits --set data.source=no_such_set", "no data set 'no_such_set'"),
        ("run digits --set data.source=none.npz", "none.npz cannot be read"),
        ("run digits --set data.source=/none/here", "/none/here is no folder of images"),
        ("run digits --set data.validation=5000", "5000 images cannot be split off"),
        ("run digits --set data.augmentation=shfit", "Did you mean 'shift'?"),
        ("run digits --set teacher.architecture=digits_cn", "Did you mean 'digits_cnn'?"),
        ("run digits --set teacher.weights=none.keras", "there is no file none.keras"),
        (
            "run cifar10_s3_wrt34 --set data.source=digits --set teacher.weights=null",
            "--set teacher.weights=FILE.keras",
        ),
        ("run digits --bogus 1", "No such option: --bogus; see `rnascl run --help`"),
        ("run", "Missing argument 'RECIPE'"),
        ("rum digits", "No such command 'rum'"),
        ("evaluate m.keras", "needs --data"),
        ("evaluate m.keras --data digits", "there is no model file m.keras"),
        ("evaluate m.keras --data digits --eps 0", "--eps must be a number in (0, 1]"),
        ("evaluate m.keras --data digits --eps 2", "--eps must be a number in (0, 1]"),
        ("evaluate m.keras --data digits --n 0", "'--n'"),
        ("evaluate m.keras --data digits --sweep 0.1,2", "--sweep must be a number in (0, 1]"),
        ("evaluate m.keras --data digits --norm Lnf", "Did you mean 'Linf'?"),
        ("evaluate m.keras --data digits --norm L2 --eps=-1", "--eps must be a number above 0"),
        ("evaluate m.keras --data digits --plot p.svg", "--plot draws the accuracy"),
        ("evaluate m.keras --data digits --attacks fgms", "Did you mean 'fgsm'?"),
        ("evaluate m.keras --data digits --set seed=1", "--set is for a recipe's run"),
        ("evaluate digits --n 10", "--n is for a MODEL.keras"),
    ],
)
def test_wrong_arguments(refused, arguments, says):
    assert says in refused(*arguments.split())


def test_a_work_folder_that_cannot_be_written(refused, tmp_path):
    (tmp_path / "file").write_text("")
    line = refused("run", "digits", "--workdir", tmp_path / "file" / "work")
    assert "cannot be written to (Not a directory)" in line


@pytest.mark.parametrize(
    ("facts", "says"),
    [
        ({"outputs": 7}, "the teacher tells 7 classes apart, the data has 10"),
        ({"shape": (16, 16, 1)}, "the teacher takes images of shape (None, 16, 16, 1)"),
        ({"outputs": 10, "convolution": False}, "convolution"),
    ],
)
def test_a_teacher_that_does_not_fit(refused, tiny, work, tmp_path, facts, says):
    given = classifier(tmp_path / "given.keras", **facts)
    options = ["--workdir", work, "--set", f"teacher.weights={given}"]
    assert says in refused("run", tiny, *options)


def test_a_teacher_that_is_no_classifier(refused, tiny, work, tmp_path):
    images = keras.Input((8, 8, 1))
    keras.Model(images, layers.Conv2D(10, 3)(images)).save(tmp_path / "given.keras")
    options = ["--workdir", work, "--set", f"teacher.weights={tmp_path / 'given.keras'}"]
    assert "a classifier" in refused("run", tiny, *options)


@pytest.mark.parametrize(
    ("data", "says"),
    [
        ({"factor": 2.0}, "[0, 1]"),
        ({"factor": -1.0}, "[0, 1]"),
        ({"factor": np.nan}, "[0, 1]"),
        ({"labels": np.full(40, -1)}, "classes start at 0"),
        ({"labels": np.full(40, 10)}, "labels range from 10 to 10"),
        ({"labels": np.zeros(39, int)}, "40 images in x and 39 labels"),
        ({"labels": np.zeros(40)}, "expected an integer class"),
    ],
)
def test_images_and_labels_that_do_not_fit(refused, whole_run, tmp_path, data, says):
    path = file_of_images(tmp_path / "d.npz", **data)
    model = whole_run.folder / "student.keras"
    out = tmp_path / "out.json"
    assert says in refused("evaluate", model, "--data", path, "--json", out)
    assert not out.exists()


def test_models_that_cannot_be_evaluated(refused, whole_run, tmp_path):
    data = file_of_images(tmp_path / "d.npz")
    (tmp_path / "bad.keras").write_bytes(b"not a model")
    line = refused("evaluate", tmp_path / "bad.keras", "--data", data)
    assert "cannot be loaded as a Keras model" in line
    large = classifier(tmp_path / "large.keras", shape=(9, 9, 1))
    assert "8 x 8 x 1, but 9 x 9 x 1 is wanted" in refused("evaluate", large, "--data", data)
    vector = keras.Input((64,))
    keras.Model(vector, layers.Dense(10)(vector)).save(tmp_path / "flat.keras")
    assert "expected one of images" in refused("evaluate", tmp_path / "flat.keras", "--data", data)
    line = refused("evaluate", large, "--data", data, "--json", data / "out.json")
    assert "out.json cannot be written" in line
