"""Accuracy under common corruptions, of a classifier whose answers can be computed by hand."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from test_attack_file import images_file, linear_classifier

from rnascl_keras.attacks.verdict import is_right
from rnascl_keras.corruptions import CORRUPTIONS, SEVERITIES
from rnascl_keras.data import ImageData
from rnascl_keras.data.pixels import ArrayPixels
from rnascl_keras.errors import ModelFailed, UserError
from rnascl_keras.evaluation import corrupted, parts
from rnascl_keras.evaluation.corrupted import evaluate_corrupted
from rnascl_keras.evaluation.facts import FileFacts
from rnascl_keras.evaluation.gate import below_the_gate, parse_gate
from rnascl_keras.evaluation.intervals import mean_interval, wilson_interval
from rnascl_keras.evaluation.measured import measure
from rnascl_keras.evaluation.opened import OpenedFile
from rnascl_keras.evaluation.request import Request

RANDOM = np.random.default_rng(5)
GREYS = RANDOM.integers(0, 256, 80).astype(np.uint8)
IMAGES = np.broadcast_to(GREYS[:, None, None, None], (80, 4, 4, 1))
LABELS = (GREYS > 127).astype(int)
FILE = OpenedFile(Path("bright.onnx"), "", 0)


class Bright:
    """Two classes: is the mean pixel above a half? Gives up after so many questions."""

    def __init__(self, questions=10**6):
        self.questions = questions

    def logits(self, images):
        self.questions -= 1
        if self.questions < 0:
            raise ModelFailed("bright.onnx ended its process")
        mean = images.mean(axis=(1, 2, 3))
        return np.stack([0.5 - mean, mean - 0.5], axis=1)


def test_accuracy_is_what_it_is_by_hand():
    """Brightness adds to grey, contrast leaves it."""
    found = evaluate_corrupted(
        Bright(), IMAGES, LABELS, corruptions=["brightness", "contrast"], progress=False
    )
    added = np.array([0.05, 0.1, 0.15, 0.2, 0.3])[:, None]
    right = (np.floor(np.minimum(255, GREYS + 255 * added) + 1e-6) > 127.5) == LABELS
    assert found.accuracy == {"brightness": right.mean(axis=1).tolist(), "contrast": [1.0] * 5}
    assert found.intervals["brightness"] == [wilson_interval(row) for row in right]
    assert found.mean == pytest.approx(right.mean() / 2 + 0.5)
    assert found.error == pytest.approx(1 - found.mean)
    assert (found.n, found.published, found.scale) == (80, "CIFAR-10-C", 4 / 32)
    # as flat images are
    assert found.notes == ["contrast of severity 1, 2, 3, 4, 5 left all images as they were"]


def test_a_part_at_a_time_finds_the_same(monkeypatch):
    whole = evaluate_corrupted(Bright(), IMAGES, LABELS, corruptions=["fog"], seed=2)
    monkeypatch.setattr(parts, "PART", 7 * 4 * 4 * 4)
    assert evaluate_corrupted(Bright(), IMAGES, LABELS, corruptions=["fog"], seed=2) == whole
    assert evaluate_corrupted(Bright(), IMAGES, LABELS, corruptions=["fog"], seed=3) != whole


def test_float_pixels_become_bytes():
    bytes_, floats = (
        evaluate_corrupted(Bright(), images, LABELS, corruptions=["snow"])
        for images in (IMAGES, IMAGES / np.float32(255))
    )
    assert bytes_ == floats


@pytest.mark.parametrize("right", [0, 3, 20])
def test_the_mean_s_interval_is_wilson_s_where_all_agree(right):
    shares = np.arange(20) < right
    assert mean_interval(float(shares.mean()), 20) == pytest.approx(wilson_interval(shares))


def test_the_mean_s_interval_holds_the_mean_of_more_images():
    """Of 400 draws of 30 images at least 95 %."""
    everyone = RANDOM.beta(0.5, 0.7, 20000)
    drawn = (mean_interval(RANDOM.choice(everyone, 30).mean(), 30) for _ in range(400))
    assert np.mean([low <= everyone.mean() <= high for low, high in drawn]) >= 0.95


def test_a_mean_that_is_a_share_is_that_share():
    """Of all answers 66 %: no rounding may carry the mean below a gate of 0.66."""
    answers = np.arange(15 * 5 * 50) < 0.66 * 15 * 5 * 50
    np.random.default_rng(1).shuffle(answers)
    right = dict(zip(CORRUPTIONS, answers.reshape(15, 5, 50), strict=True))
    by_image = np.mean([own.mean(axis=0) for own in right.values()], axis=0)
    assert by_image.mean() < 0.66  # what a mean of means comes to
    found = corrupted._summed_up(right, 0, (32, 32), [])
    assert (found.mean, found.error) == (0.66, 0.34)
    assert below_the_gate("a.onnx", {"corruptions": found.mean}, {"corruptions": 0.66}) == []


NEVER = np.full((4, 2), np.nan)


@pytest.mark.parametrize(
    ("logits", "labels", "names", "told"),
    [
        (np.eye(2)[[0, 1, 0, 1]], [0, 1, 2, 1], ["fog"], "labels range from 0 to 2; the model has"),
        (NEVER, [-1] * 4, ["fog"], "labels range from -1 to -1"),
        (NEVER, [0] * 4, ["fog"], "infinite or undefined"),
        (np.ones((4, 1)), [0] * 4, ["fog"], r"shape \(4, 1\); expected \(4, classes\)"),
        (np.eye(2)[[0, 1, 0, 1]], [0] * 4, [], "corruptions is empty; expected some of gaussian"),
        (np.eye(2)[[0, 1, 0, 1]], [0] * 4, ["fig"], "corruption 'fig' is unknown"),
    ],
)
def test_what_does_not_fit_is_refused(logits, labels, names, told):
    model = SimpleNamespace(logits=lambda images: logits[: len(images)])
    images = np.zeros((4, 4, 4, 1), np.uint8)
    with pytest.raises(UserError, match=told):
        evaluate_corrupted(model, images, np.array(labels), corruptions=names, progress=False)


def test_a_missing_class_is_no_label_s():
    assert is_right(np.array([[0.0, 1.0], [np.nan, 1.0]]), np.array([1, -1])).tolist() == [1, 0]


def request(**asked):
    return Request("d.npz", None, (), 0.1, 80, 0, check=0, **asked)


def test_what_was_measured_before_is_kept_where_the_model_fails():
    data = ImageData(ArrayPixels(np.array(IMAGES)), LABELS, ("dark", "bright"))
    asked = request(corruptions=("fog",))
    measured = measure(FILE, Bright(questions=3), data, asked)
    assert measured.evaluation.accuracy["clean"] == 1 and measured.corrupted is None
    assert measured.failed == "bright.onnx ended its process (images 0 to 79)."


def test_images_that_cannot_be_corrupted_are_told_before_any_work():
    data = ImageData(ArrayPixels(np.zeros((4, 6, 6, 2), np.uint8)), np.zeros(4, int), ("a", "b"))
    with pytest.raises(UserError, match=r"uint8 of shape \(1, 6, 6, 2\); expected uint8"):
        measure(FILE, Bright(questions=0), data, request(corruptions=("fog",)))


def test_the_gate_knows_the_mean():
    keys = parse_gate("corruptions=0.4", [], 0.1, "Linf", corrupted=True)
    assert keys == {"corruptions": 0.4}
    with pytest.raises(UserError, match="--fail-below 'corruptions' is unknown"):
        parse_gate("corruptions=0.4", [], 0.1, "Linf")


def test_the_command_line_and_what_it_writes(tmp_path, rnascl):
    path, data = linear_classifier(tmp_path / "a.onnx"), images_file(tmp_path / "d.npz")
    out, page = tmp_path / "a.json", tmp_path / "a.html"
    command = ("attack", path, "--data", data, "--attacks", "none", "--n", 12, "--trust")
    done = rnascl(
        *command, "--corruptions", "all", "--json", out, "--report", page,
        "--fail-below", "corruptions=1.0",
    )  # fmt: skip
    assert done.code == 1 and "corruptions is" in done.err
    found = FileFacts.model_validate(json.loads(out.read_text())).corrupted
    assert list(found.accuracy) == list(CORRUPTIONS)
    assert found.mean == pytest.approx(np.mean(list(found.accuracy.values())))
    assert "drawn here" in found.notes[0]
    told = " ".join(page.read_text().split())
    for text in (done.out, told):
        assert "Worst case" not in text and "every attack" not in text  # none was run
        assert "(mCA)" in text and "JPEG" in text and "Frost is drawn here" in text
    assert told.count("--share:") == len(CORRUPTIONS) * (len(SEVERITIES) + 1)
    assert "noise, weather" not in told

    done = rnascl(*command, "--corruptions", "fog,fig")
    assert done.code == 2 and "--corruptions 'fig' is unknown" in done.err
    done = rnascl(*command, "--sweep", "2/255")
    assert done.code == 2 and "--sweep runs the attacks at each radius" in done.err
