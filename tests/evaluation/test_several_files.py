"""Several files attacked together: what is compared, and what one bad file leaves of the others."""

from __future__ import annotations

import os
import sys
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import onnx
import pytest
import test_attack_file
from onnx import helper
from test_attack_file import (
    EPSILON,
    IMAGES,
    LABELS,
    images_file,
    linear_classifier,
    table_classifier,
)

from rnascl_keras.data import ImageData
from rnascl_keras.data.pixels import ArrayPixels
from rnascl_keras.errors import ModelFailed, UserError
from rnascl_keras.evaluation import onnx_file
from rnascl_keras.evaluation.facts import SeveralFacts
from rnascl_keras.evaluation.onnx_file import attack_files
from rnascl_keras.evaluation.request import Request
from rnascl_keras.evaluation.several import compare
from rnascl_keras.export import OnnxClassifier

FEW = 12


def sign_classifier(path):
    """Write the linear classifier of the signs of its input: its gradient goes straight through."""
    model = onnx.load(linear_classifier(path))
    model.graph.node[-1].input[0] = "signs"
    model.graph.node.insert(2, helper.make_node("Sign", ["flat"], ["signs"]))
    onnx.save(model, path)
    return path


def asked(folder, **given):
    files = {"out": folder / "facts.json", "page": folder / "page.html"}
    data = str(images_file(folder / "data.npz"))
    return Request(data, None, ("fgsm",), EPSILON / 10, FEW, 0, check=0, **files | given)


def stub(name, right, made=(), classifier=None, failed=None):
    """What is known of a model that `right` says the right images of, by key."""
    worst = np.all(list(right.values()), axis=0)
    right = {key: np.array(own, bool) for key, own in (right | {"worst": worst}).items()}
    accuracy = {key: float(own.mean()) for key, own in right.items()}
    images = SimpleNamespace(fingerprint=lambda: "same", labels=np.array([0, 1, 1, 0]))
    evaluation = SimpleNamespace(right=right, accuracy=accuracy)
    logits = SimpleNamespace(logits=classifier or (lambda images: images))
    made = {key: np.eye(2)[[0, 1, 1, 1]] for key in made}
    own = {"classifier": logits, "images": images, "evaluation": evaluation, "made": made}
    return SimpleNamespace(path=Path(name), failed=failed, **own)


def test_a_worst_case_is_compared_over_the_attacks_of_both():
    one = stub("one", {"clean": [1, 1, 1, 0], "fgsm": [1, 1, 0, 0]})
    other = stub("two", {"clean": [1, 1, 1, 1], "fgsm": [1, 1, 0, 1], "square": [0, 0, 0, 1]})
    ended = stub("three", {"clean": [1, 1, 1, 1]})
    found = {
        (pair["first"], pair["second"], pair["key"]): (pair["difference"], pair.get("attacks"))
        for pair in compare([one, other, ended])[0]["differences"]
    }
    assert found == {
        ("one", "two", "clean"): (-0.25, None),
        ("one", "two", "fgsm"): (-0.25, None),
        ("one", "two", "worst"): (-0.25, ["fgsm"]),
        ("one", "three", "clean"): (-0.25, None),
        ("two", "three", "clean"): (0, None),
    }


def test_files_under_unlike_attacks_are_compared_over_those_of_both(tmp_path, capsys):
    """Of the second file Square is run beside: its column is there, and the difference says that
    it is without."""
    paths = [linear_classifier(tmp_path / "one.onnx"), sign_classifier(tmp_path / "two.onnx")]
    request = asked(tmp_path)
    ours, theirs = attack_files(paths, request, trust=True, say=str, mean=(0.5,))
    assert "square" not in ours.accuracy and "square" in theirs.accuracy
    told = SeveralFacts.model_validate_json(request.out.read_text())
    assert [(one.key, one.attacks) for one in told.differences] == [
        ("clean", None),
        ("fgsm", None),
        ("worst", ["fgsm"]),
    ]
    table = capsys.readouterr().out.partition("All files")[2]
    page = request.page.read_text()
    side_by_side = page.partition("The files side by side")[2].partition("</thead>")[0]
    assert "Square" in table.partition("Paired")[0] and "Square" in side_by_side
    assert "Worst case of FGSM, which both underwent" in page
    assert "Square" in page.partition("How to repeat it")[2]


@pytest.mark.skipif(sys.platform != "linux", reason="names there are text")
def test_names_are_shown_as_they_are_and_as_far_as_they_are_text(tmp_path, monkeypatch, capsys):
    """Neither brackets nor dollars are markup, and bytes that are no text stop nothing; the JSON
    has the paths."""
    pixels = ArrayPixels(np.rint(255 * IMAGES[:8]).astype(np.uint8))
    data = ImageData(pixels, LABELS[:8], ("[a]$^$", os.fsdecode(b"b\xff")))
    monkeypatch.setattr(onnx_file, "images_for", lambda *_: data)
    names = ["net[v1]:cat:$_$.onnx", os.fsdecode(b"n\xff.onnx")]
    paths = [linear_classifier(tmp_path / "a.onnx").rename(tmp_path / names[0])]
    paths.append(linear_classifier(tmp_path / "b.onnx").rename(tmp_path / names[1]))
    files = {"out": tmp_path / "facts.json", "page": tmp_path / "page.html"}
    attacked = {"attacks": ("fgsm",), "epsilon": EPSILON / 10, "n": 8, "seed": 0, "check": 0}
    request = Request(os.fsdecode(b"d\xff"), None, radii=(EPSILON,), **attacked, **files)
    attack_files(paths, request, trust=True, say=str)
    shown = capsys.readouterr().out
    assert "net[v1]:cat:$_$.onnx, first 8" in shown and "n\ufffd.onnx, first 8" in shown
    assert "│ [a]$^$ │" in shown and "│ b?" in shown
    told = SeveralFacts.model_validate_json(request.out.read_text())
    assert told.files[0].class_names == ["[a]$^$", "b?"]
    expected = [str(paths[0]), str(tmp_path / "n\ufffd.onnx")]
    assert [file.model for file in told.files] == expected
    assert {(one.first, one.second) for one in told.differences} == {tuple(expected)}
    page = request.page.read_text(encoding="utf-8")
    assert "<td>net[v1]:cat:$_$.onnx − n\ufffd.onnx</td>" in page and "b?" in page


def other_size(path, monkeypatch):
    """Write a classifier of other images."""
    with monkeypatch.context() as patch:
        patch.setattr(test_attack_file, "SHAPE", (4, 4, 3))
        patch.setattr(test_attack_file, "WEIGHT", np.zeros((48, 2), np.float32))
        return linear_classifier(path)


def images_as_wanted(request, shape):
    """As of a folder of pictures, which are scaled to what a file takes."""
    return ImageData(ArrayPixels(np.zeros((2, *shape), np.uint8)), np.arange(2), ("a", "b"))


@pytest.mark.parametrize(
    ("second", "scaled", "told"),
    [
        ("broken", False, "bad.onnx"),
        ("no gradient", False, "bad.onnx.* no gradient through"),
        ("other size", False, r"bad.onnx: the images of .*data.npz are 6 x 5 x 3, but 4 x 4 x 3"),
        ("other size", True, "take images of other shapes: .*; attack them one by one"),
    ],
)
def test_what_is_wrong_with_a_file_is_told_before_the_first_is_attacked(
    tmp_path, monkeypatch, second, scaled, told
):
    good, bad = linear_classifier(tmp_path / "good.onnx"), tmp_path / "bad.onnx"
    if second == "broken":
        bad.write_bytes(b"no model")
    elif second == "no gradient":
        table_classifier(bad)
    else:
        other_size(bad, monkeypatch)
    if scaled:
        monkeypatch.setattr(onnx_file, "images_for", images_as_wanted)
    monkeypatch.setattr(onnx_file, "measure", lambda *_, **__: pytest.fail("one was attacked"))
    with pytest.raises(UserError, match=told):
        attack_files([good, bad], asked(tmp_path), trust=True, say=str)


class Dying:
    """A classifier whose process ends when its gradient is asked for again."""

    def __init__(self, classifier, gradients):
        self.classifier, self.left = classifier, gradients

    def __getattr__(self, name):
        return getattr(self.classifier, name)

    def logits(self, images):
        if self.left < 0:
            raise ModelFailed("dying.onnx ended")
        return self.classifier.logits(images)

    def logits_and_gradient(self, *given):
        self.left -= 1
        self.logits(given[0][:1])
        return self.classifier.logits_and_gradient(*given)


@pytest.mark.parametrize(
    ("gradients", "measured", "transfer"),
    [
        (2, ["dying.onnx", "other.onnx"], {"fgsm": [[0.5, 0.5], [None, 0.5]]}),
        (-1, ["other.onnx"], {}),  # not even the clean images were answered
    ],
)
def test_a_process_that_ends_does_not_take_the_other_files_along(
    tmp_path, monkeypatch, gradients, measured, transfer
):
    monkeypatch.setattr(
        onnx_file,
        "open_classifier",
        lambda path: Dying(OnnxClassifier(path), gradients if path.stem == "dying" else 10**6),
    )
    paths = [linear_classifier(tmp_path / name) for name in ("dying.onnx", "other.onnx")]
    request = replace(asked(tmp_path), attacks=("fgsm", "pgd"), epsilon=0.02)
    with pytest.raises(UserError, match=r"dying.onnx ended"):
        attack_files(paths, request, trust=True, say=str)
    told = SeveralFacts.model_validate_json(request.out.read_text())
    assert [Path(file.model).name for file in told.files] == measured
    assert {"fgsm", "pgd20"} <= told.files[-1].accuracy.keys()
    assert told.transfer.keys() == transfer.keys()
    for key, rows in transfer.items():
        none = [[share is None for share in row] for row in rows]
        assert [[share is None for share in row] for row in told.transfer[key]] == none
    page = request.page.read_text()
    assert ("The files side by side" in page) == (len(measured) > 1)


def test_that_a_model_ended_among_another_s_images_is_told():
    def ends(images):
        raise ModelFailed("two ended")

    right = {"clean": [1, 1, 1, 0], "fgsm": [1, 1, 0, 0]}
    one, two = stub("one", right, ["fgsm"]), stub("two", right, ["fgsm"], ends)
    compared, failed = compare([one, two])
    assert compared["transfer"] == {"fgsm": [[0.5, None], [0.75, 0.5]]}
    assert failed == ["two ended."]
    assert compare([one, stub("two", right, ["fgsm"], ends, failed="told before")])[1] == []
