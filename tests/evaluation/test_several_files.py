"""Several files attacked together: what is compared, and what one bad file leaves of the others."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import onnx
from onnx import helper
from test_attack_file import EPSILON, images_file, linear_classifier

from rnascl_keras.evaluation.facts import SeveralFacts
from rnascl_keras.evaluation.onnx_file import attack_files
from rnascl_keras.evaluation.request import Request
from rnascl_keras.evaluation.several import compare

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
        for pair in compare([one, other, ended])["differences"]
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
