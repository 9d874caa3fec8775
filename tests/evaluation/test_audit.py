"""What is handed over of files that were attacked: a page, the JSON, the images, and the gate."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
from functools import partial
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import onnxruntime
import pytest
from pydantic import TypeAdapter
from test_attack_file import (
    BIAS,
    EPSILON,
    IMAGES,
    LABELS,
    WEIGHT,
    N,
    images_file,
    linear_classifier,
)

from rnascl_keras.attacks import ATTACKS, SparseRS
from rnascl_keras.attacks.norms import NORMS
from rnascl_keras.data.npz import load_test_npz
from rnascl_keras.errors import BelowTheGate, UserError
from rnascl_keras.evaluation import onnx_file, opened
from rnascl_keras.evaluation.evaluate import evaluate
from rnascl_keras.evaluation.facts import FileFacts, SeveralFacts, schema
from rnascl_keras.evaluation.gate import below_the_gate, parse_gate
from rnascl_keras.evaluation.intervals import paired_interval
from rnascl_keras.evaluation.measured import measure
from rnascl_keras.evaluation.onnx_file import attack_files
from rnascl_keras.evaluation.opened import opening
from rnascl_keras.evaluation.request import Request
from rnascl_keras.export import OnnxClassifier
from rnascl_keras.report.keys import class_names

ROOT = Path(__file__).parents[2]
FEW = 40


@pytest.fixture(scope="module")
def handed_over(tmp_path_factory):
    """Two files that are the same but for their layout, and a third that is turned around."""
    folder = tmp_path_factory.mktemp("audit")
    paths = [
        linear_classifier(folder / "one.onnx"),
        linear_classifier(folder / "two.onnx", layout="NCHW"),
    ]
    outs = {"out": "facts.json", "page": "page.html", "images_out": "images.npz"}
    request = Request(
        str(images_file(folder / "data.npz")),
        None,
        ("fgsm", "pgd"),
        EPSILON / 10,
        FEW,
        0,
        check=20,
        radii=(EPSILON,),
        **{name: folder / file for name, file in outs.items()},
    )
    attack_files(paths, request, trust=True, say=lambda line: None)
    return folder


def right(images):
    return (images.reshape(len(images), -1) @ WEIGHT + BIAS).argmax(1) == LABELS[: len(images)]


def test_the_json_of_several_files_is_as_its_schema_says(handed_over):
    content = json.loads((handed_over / "facts.json").read_text())
    told = SeveralFacts.model_validate(content)
    assert [file.model for file in told.files] == [
        str(handed_over / name) for name in ("one.onnx", "two.onnx")
    ]
    first = told.files[0]
    assert first.sweep.epsilon == [EPSILON / 10, EPSILON]
    assert first.accuracy["clean"] == right(IMAGES[:FEW]).mean()
    assert first.attacks["pgd20"].name == "PGD-20" and "20 steps" in first.attacks["pgd20"].how
    assert first.input.startswith("takes NHWC") and first.bytes > 0
    for difference in told.differences:
        assert difference.difference == 0 and difference.interval[0] < 0 < difference.interval[1]
    assert len(told.differences) == 4  # clean, two attacks, worst


def test_a_file_s_json_is_as_its_schema_says(tmp_path):
    path = linear_classifier(tmp_path / "one.onnx")
    data = str(images_file(tmp_path / "data.npz"))
    request = Request(data, None, ("fgsm",), EPSILON, 10, 0, out=tmp_path / "a.json", check=0)
    attack_files([path], request, say=lambda line: None)
    told = FileFacts.model_validate_json((tmp_path / "a.json").read_text())
    assert told.versions["onnxruntime"] == onnxruntime.__version__  # of the file's own process
    TypeAdapter(FileFacts | SeveralFacts).validate_json((tmp_path / "a.json").read_text())


@pytest.mark.parametrize("then", ["replaced", "removed"])
def test_a_file_that_changes_meanwhile_is_told_and_named_by_the_bytes_measured(
    tmp_path, monkeypatch, capsys, then
):
    path, out = linear_classifier(tmp_path / "one.onnx"), tmp_path / "a.json"
    before = path.read_bytes()
    request = Request(
        str(images_file(tmp_path / "data.npz")), None, (), EPSILON, 10, 0, out=out, check=0
    )

    def change(*asked, **options):
        path.write_bytes(b"another") if then == "replaced" else path.unlink()
        return measure(*asked, **options)

    monkeypatch.setattr(onnx_file, "measure", change)
    attack_files([path], request, trust=True, say=str)
    told = FileFacts.model_validate_json(out.read_text())
    assert told.sha256 == hashlib.sha256(before).hexdigest() and told.bytes == len(before)
    assert f"figures are of the bytes that it then held, sha256 {told.sha256}" in (
        capsys.readouterr().err
    )


def test_a_file_that_changes_while_it_is_opened_is_refused(tmp_path):
    path = tmp_path / "one.onnx"
    path.write_bytes(b"one")
    with pytest.raises(UserError, match="changed while it was opened"), opening(path):
        path.write_bytes(b"three")


def test_a_file_of_any_length_is_not_read_to_its_end(tmp_path, monkeypatch):
    monkeypatch.setattr(opened, "MOST_BYTES", 2)
    monkeypatch.setattr(opened, "content_hash", lambda path: pytest.fail("it was read"))
    path = tmp_path / "one.onnx"
    path.write_bytes(b"one")
    with pytest.raises(UserError, match="has 3 bytes; a model's file has at most 2"), opening(path):
        pytest.fail("it was opened")


@pytest.mark.parametrize(
    ("norm", "attack", "key", "radii", "says"),
    [
        ("L1", "apgd", "apgd_ce", (0.3, 1.5), "within L1 radius 1.5"),
        ("L0", "sparse_rs", "sparse_rs", (1.0, 3.0), "in at most 3 of its pixels"),
    ],
)
def test_sparse_balls_come_from_a_file_to_the_page(
    tmp_path, monkeypatch, norm, attack, key, radii, says
):
    monkeypatch.setitem(ATTACKS, "sparse_rs", partial(SparseRS, queries=300))
    path, data = linear_classifier(tmp_path / "a.onnx"), str(images_file(tmp_path / "data.npz"))
    files = {"out": tmp_path / "a.json", "page": tmp_path / "a.html", "plot": tmp_path / "a.svg"}
    asked = {"norm": norm, "radii": radii[:1], "check": 3, "images_out": tmp_path / "made.npz"}
    request = Request(data, None, (attack,), radii[1], 6, 0, **asked, **files)
    attack_files([path], request, trust=True, say=lambda line: None)
    told = FileFacts.model_validate_json(files["out"].read_text())
    assert (told.norm, told.epsilon, told.sweep.epsilon) == (norm, radii[1], list(radii))
    assert told.accuracy[key] <= told.sweep.accuracy[key][0] and told.accuracy[key] < 1
    assert (told.check is None) == (norm == "L0")
    assert says in files["page"].read_text()
    axis = "pixels changed" if norm == "L0" else "L1 radius"
    assert axis in "".join(ElementTree.parse(files["plot"]).getroot().itertext())
    with np.load(tmp_path / "made.npz") as made:
        length = NORMS[norm].length(made["x"] - IMAGES[:6].astype(float))
        assert 0 < length.max() <= radii[1] + 1e-5
        assert np.mean(right(made["x"])) == told.accuracy["worst"]


def test_the_schema_in_the_documentation_is_that_of_the_code():
    """To write it anew: json.dumps(schema(), indent=2)."""
    assert json.loads((ROOT / "docs/evaluation.schema.json").read_text()) == schema()


def test_the_saved_images_are_those_that_the_figures_are_of(handed_over):
    """What each file says of the other's images, from the files alone."""
    content = json.loads((handed_over / "facts.json").read_text())
    saved = np.load(handed_over / "images.npz")
    assert np.abs(saved["x_pgd20"] - IMAGES[:FEW]).max() <= EPSILON / 10 + 1e-6
    for key in ("fgsm", "pgd20"):
        ours, theirs = right(saved[f"x_{key}"]).mean(), right(saved[f"x_{key}_2"]).mean()
        assert content["transfer"][key][0] == [ours, ours]
        assert content["transfer"][key][1] == [theirs, theirs]
        assert content["files"][0]["accuracy"][key] == ours
    assert right(saved["x"]).mean() == content["files"][0]["accuracy"]["worst"]
    np.testing.assert_array_equal(saved["y"], LABELS[:FEW])


def test_the_page_says_what_was_measured_and_asks_the_network_for_nothing(handed_over):
    page = (handed_over / "page.html").read_text()
    content = json.loads((handed_over / "facts.json").read_text())
    for told in (content["files"][0]["sha256"], "one.onnx", "two.onnx", "How to repeat it"):
        assert told in page
    assert "Whose images fool which file" in page and "Which classes fall first" in page
    assert "http" not in page.replace("http-equiv", "")
    assert page.count("data:image/svg+xml;base64,") == 2 * 4  # bars, sweep, confusion, gallery


@pytest.mark.parametrize("check", [0, 10])
def test_the_page_says_where_false_robustness_was_not_looked_for(tmp_path, check):
    path, data = linear_classifier(tmp_path / "a.onnx"), str(images_file(tmp_path / "d.npz"))
    page = tmp_path / "page.html"
    asked = {"check": check, "page": page}
    request = Request(data, None, ("fgsm",), EPSILON / 10, 10, 0, **asked)
    attack_files([path], request, trust=True, say=lambda line: None)
    short, _, limits = page.read_text().partition("What this does not show")
    told = "False robustness was not looked for"
    assert (told in short, told in limits) == (check == 0, check == 0)


def test_a_model_may_tell_more_classes_apart_than_the_data_name(tmp_path, capsys):
    path, data = linear_classifier(tmp_path / "a.onnx"), tmp_path / "d.npz"
    np.savez(data, x=IMAGES[LABELS == 0], y=LABELS[LABELS == 0])
    names = {"out": "a.json", "page": "a.html", "images_out": "made.npz"}
    files = {name: tmp_path / file for name, file in names.items()}
    request = Request(str(data), None, ("fgsm",), EPSILON, 10, 0, check=0, **files)
    (found,) = attack_files([path], request, trust=True, say=lambda line: None)
    told = FileFacts.model_validate_json(files["out"].read_text())
    assert (told.class_names, told.class_counts) == (["0", "1"], [10, 0])
    assert told.data_fingerprint == load_test_npz(data, None).take(10).fingerprint()
    assert "Which classes fall first" in files["page"].read_text()
    assert len(found.examples["fgsm"].rows) and files["images_out"].is_file()
    assert "By class, in %" in capsys.readouterr().out


def test_each_output_of_a_model_has_a_name():
    assert class_names(("ant", "bee"), 4) == ["ant", "bee", "2", "3"]
    assert class_names(("ant", "bee", "cat"), 2) == ["ant", "bee"]


def test_classes_are_confused_as_numpy_counts_them(tmp_path):
    file = OnnxClassifier(linear_classifier(tmp_path / "a.onnx"))
    found, made = evaluate(file, IMAGES, LABELS, attacks=("pgd",), epsilon=EPSILON / 10, check=0)
    expected = np.zeros((2, 2), int)
    for label, own in zip(
        LABELS, (made["pgd20"].reshape(N, -1) @ WEIGHT + BIAS).argmax(1), strict=True
    ):
        expected[label, own] += 1
    np.testing.assert_array_equal(found.confusion["pgd20"], expected)
    np.testing.assert_array_equal(np.sum(found.confusion["clean"], axis=1), np.bincount(LABELS))
    shown = found.examples["pgd20"]
    assert len(shown.rows) == min(8, np.sum(~found.right["pgd20"]))
    np.testing.assert_array_equal(shown.labels, LABELS[shown.rows])
    np.testing.assert_array_equal(shown.attacked, made["pgd20"][shown.rows])
    assert np.all(shown.answers != shown.labels)


def test_the_gate(tmp_path):
    keys = parse_gate("pgd=0.4, worst=0,clean=1", ["pgd", "fgsm"], 0.1, "Linf")
    assert keys == {"pgd20": 0.4, "worst": 0.0, "clean": 1.0}
    for text in ("pgd=40", "pgd=nan", "pgd", "pgd=-0.1"):
        with pytest.raises(UserError, match="from 0 to 1"):
            parse_gate(text, ["pgd"], 0.1, "Linf")
    for twice in ("pgd20=0.9,pgd=0.1", "clean=1,clean=1"):
        with pytest.raises(UserError, match=r"--fail-below names (pgd20|clean) twice: '.*'; give"):
            parse_gate(twice, ["pgd"], 0.1, "Linf")
    with pytest.raises(UserError, match="--fail-below 'cw' is unknown"):
        parse_gate("cw=0.1", ["pgd"], 0.1, "Linf")
    path, data = linear_classifier(tmp_path / "a.onnx"), str(images_file(tmp_path / "d.npz"))
    request = Request(data, None, ("fgsm",), EPSILON, 20, 0, least={"fgsm": 0.5}, check=0)
    with pytest.raises(BelowTheGate, match=r"a.onnx: fgsm is .* %, below the required 50.0 %"):
        attack_files([path], request, trust=True, say=lambda line: None)


def test_the_gate_s_words_tell_apart_what_it_compares():
    def words(found, wanted):
        return below_the_gate("a.onnx", {"pgd20": found}, {"pgd20": wanted})

    assert words(0.3996, 0.4) == ["a.onnx: pgd20 is 39.96 %, below the required 40.00 %"]
    assert words(0.3, 0.4) == ["a.onnx: pgd20 is 30.0 %, below the required 40.0 %"]
    assert words(0.39999996, 0.4)[0].endswith("39.999996 %, below the required 40.000000 %")
    assert words(0.4, 0.4) == [] and len(words(np.nextafter(0.4, 0), 0.4)) == 1


@pytest.mark.parametrize(
    ("options", "code", "told"),
    [
        (["--fail-below", "fgsm=1.0"], 1, "below the required 100.0 %"),
        (["--fail-below", "fgsm=0.0"], 0, ""),
        (["--report", "page.pdf"], 2, "--report is page.pdf; expected a name in .html"),
        (["--save-images", "page.html"], 2, "--save-images is page.html; expected a name in .npz"),
    ],
)
def test_what_the_command_line_says(tmp_path, rnascl, options, code, told):
    path, data = linear_classifier(tmp_path / "a.onnx"), images_file(tmp_path / "d.npz")
    settings = f"--data {data} --attacks fgsm --eps 0.1 --n 10 --check 0 --trust".split()
    result = rnascl("attack", path, *settings, *options)
    assert result.code == code, result.err
    assert told in result.err


def test_each_file_that_is_written_is_named(tmp_path, rnascl):
    path, data = linear_classifier(tmp_path / "a.onnx"), images_file(tmp_path / "d.npz")
    settings = f"--data {data} --attacks fgsm --eps 0.1 --n 10 --check 0 --trust".split()
    files = [tmp_path / name for name in ("a.json", "a.npz", "a.html")]
    options = dict(zip(("--json", "--save-images", "--report"), files, strict=True))
    given = [word for pair in options.items() for word in pair]
    result = rnascl("attack", path, *settings, *given)
    assert result.err.splitlines()[-3:] == [f"{file} is written" for file in files]
    assert " is written" not in rnascl("attack", path, *settings, *given, "--quiet").err


def test_an_interval_of_a_pair_is_newcombe_s():
    one, other = np.array([1, 1, 0, 1], bool), np.array([1, 0, 0, 1], bool)
    low, high = paired_interval(one, other)
    assert low < 0.25 < high


def without_training(command, folder):
    """Call a command as where the package is installed without the extra `train`."""
    script = (
        "import sys\n"
        "for name in ('tensorflow', 'keras', 'sklearn'): sys.modules[name] = None\n"
        f"sys.argv = ['rnascl', *{command.split()!r}]\n"
        "from rnascl_keras.cli import main; main()"
    )
    call = [sys.executable, "-c", script]
    return subprocess.run(call, cwd=folder, capture_output=True, text=True, check=False)


def test_the_names_of_what_needs_no_training_are_listed_without_it(tmp_path):
    done = without_training("list", tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("to see these: pip install 'rnascl-keras[train]'") == 2
    assert "mi_fgsm" in done.stdout and "cifar10_s3" in done.stdout


@pytest.mark.parametrize("command", ["run digits", "evaluate m.keras --data d.npz"])
def test_what_needs_training_s_packages_says_what_to_type(tmp_path, command):
    images_file(tmp_path / "d.npz")
    (tmp_path / "m.keras").write_bytes(b"")
    done = without_training(command, tmp_path)
    assert done.returncode == 2, done.stderr
    assert "pip install 'rnascl-keras[train]'" in done.stderr and "Traceback" not in done.stderr
